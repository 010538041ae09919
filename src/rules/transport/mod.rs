//! How credentials travel: whether they come at all, where they stand in the message, and how often.
