//! What keys do to the state.
