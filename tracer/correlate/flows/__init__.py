"""What belongs to a journey: its flow, its answer, what is sent again, the error about it."""
