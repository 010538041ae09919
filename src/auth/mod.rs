//! What auth header fields mean: bytes in, values and defects out.
