//! What a key asks of others.
use crate::tui::requests::ReplayOrder;

/// What has to happen outside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The wish has changed: send it to the thread that makes pictures.
    Wish,
    /// The replay has an order.
    Replay(ReplayOrder),
    /// Leave.
    Quit,
    /// Stop the process as Ctrl-Z does.
    Suspend,
    /// Draw everything anew.
    Redraw,
}
