//! Bytes of a snapshot: canonical records and their digest.
