"""The model: columns, observation points, journeys, errors. No I/O; numpy alone besides."""
