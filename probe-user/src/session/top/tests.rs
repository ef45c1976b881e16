//! The screen on recorded streams.
