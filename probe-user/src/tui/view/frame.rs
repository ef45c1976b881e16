//! A frame of a stack as a line.
use crate::{
    format::escape::{escape, width},
    report::model::Frame,
};

/// `symbol+0x1c [module]`, or the bare address, escaped and cut.
pub fn frame_line(frame: &Frame, columns: usize) -> String {
    let module = frame.module.as_deref().map(|module| format!(" [{}]", escape(module))).unwrap_or_default();
    let text = match &frame.symbol {
        Some(symbol) => format!("{}+{:#x}{module}", escape(symbol), frame.offset.unwrap_or(0)),
        None => format!("{}{module}", escape(&frame.address)),
    };
    if width(&text) <= columns { text } else { text.chars().take(columns).collect() }
}
