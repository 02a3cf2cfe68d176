"""Files of callers: bytes in Blob Storage, rows in Table Storage, under our own ids; and their copies at resources."""
