"""Reading pcapng files (draft-ietf-opsawg-pcapng): sections, interfaces, packet blocks."""
