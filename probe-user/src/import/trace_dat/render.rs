//! Prints a record as the kernel would.
use std::fmt::Write as _;

use super::{
    bytes::Order,
    format::{Field, Format},
    print::Expr,
};
use crate::{format::uuid, import::line::LONGEST_LINE};

/// What an expression is.
enum Value<'a> {
    /// A number, the sign extended.
    Number(u64),
    /// A string.
    Text(String),
    /// What a pointer points to.
    Bytes(&'a [u8]),
}

struct Record<'a> {
    fields: &'a [Field],
    bytes: &'a [u8],
    order: Order,
}

/// The text of a record; none if it does not fit its format.
#[must_use]
pub fn render(format: &Format, record: &[u8], order: Order) -> Option<String> {
    let print = format.print.as_ref()?;
    let record = Record { fields: &format.fields, bytes: record, order };
    let mut arguments = print.arguments.iter();
    let mut out = String::new();
    let mut rest = &*print.format;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        let (conversion, behind) = Conversion::parse(behind)?;
        rest = behind;
        if conversion.letter == '%' {
            out.push('%');
        } else {
            conversion.print(&record.value(arguments.next()?)?, &mut out)?;
        }
        if out.len() > LONGEST_LINE {
            return Some(out);
        }
    }
    out.push_str(rest);
    Some(out)
}

impl<'a> Record<'a> {
    fn value(&self, expr: &Expr) -> Option<Value<'a>> {
        Some(match expr {
            Expr::Text(text) => Value::Text(text.to_string()),
            Expr::Field(at) => {
                let field = self.fields.get(*at)?;
                match field.number(self.bytes, self.order) {
                    Some(number) if field.place == super::format::Place::Here => Value::Number(number),
                    _ => Value::Bytes(field.bytes(self.bytes, self.order)?),
                }
            }
            Expr::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                return self.value(if self.number(condition)?.0 == 0 { no } else { yes });
            }
            Expr::Flags(of, between, names) => Value::Text(self.flags(of, between, names)?),
            Expr::Symbol(of, names) => {
                let number = self.number(of)?.0;
                let found = names.iter().find(|(value, _)| self.number(value).is_some_and(|v| v.0 == number));
                Value::Text(found.map_or_else(|| format!("0x{number:x}"), |(_, name)| name.to_string()))
            }
            _ => Value::Number(self.number(expr)?.0),
        })
    }

    /// `trace_print_flags_seq()`, kernel/trace/trace_output.c.
    fn flags(&self, of: &Expr, between: &str, names: &[(Expr, Box<str>)]) -> Option<String> {
        let mut left = self.number(of)?.0;
        let mut out = String::new();
        for (value, name) in names {
            let Some((mask, _)) = self.number(value) else { continue };
            if mask == 0 || left & mask != mask {
                continue;
            }
            left &= !mask;
            if !out.is_empty() {
                out.push_str(between);
            }
            out.push_str(name);
            if out.len() > LONGEST_LINE {
                return Some(out);
            }
        }
        if left != 0 {
            let between = if out.is_empty() { "" } else { between };
            let _ = write!(out, "{between}0x{left:x}");
        }
        Some(out)
    }

    fn number(&self, expr: &Expr) -> Option<(u64, bool)> {
        Some(match expr {
            Expr::Number(number, unsigned) => (*number, *unsigned),
            Expr::Field(at) => {
                let field = self.fields.get(*at)?;
                (field.number(self.bytes, self.order)?, !field.signed)
            }
            Expr::Cast(bits, unsigned, of) => {
                let above = 64_u32.checked_sub(*bits)?;
                let number = self.number(of)?.0 << above;
                (if *unsigned { number >> above } else { ((number as i64) >> above) as u64 }, *unsigned)
            }
            Expr::Unary(sign, of) => {
                let (number, unsigned) = self.number(of)?;
                match sign {
                    '-' => (number.wrapping_neg(), unsigned),
                    '~' => (!number, unsigned),
                    _ => (u64::from(number == 0), false),
                }
            }
            Expr::Binary(operator, left, right) => {
                binary(operator, self.number(left)?, || self.number(right))?
            }
            Expr::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                return self.number(if self.number(condition)?.0 == 0 { no } else { yes });
            }
            Expr::Text(_) | Expr::Flags(..) | Expr::Symbol(..) | Expr::Unknown => return None,
        })
    }
}

fn binary(
    operator: &str,
    (left, left_unsigned): (u64, bool),
    right: impl FnOnce() -> Option<(u64, bool)>,
) -> Option<(u64, bool)> {
    match operator {
        "||" if left != 0 => return Some((1, false)),
        "&&" if left == 0 => return Some((0, false)),
        _ => {}
    }
    let (right, right_unsigned) = right()?;
    let unsigned = left_unsigned || right_unsigned;
    let less = |a: u64, b: u64| if unsigned { a < b } else { (a as i64) < b as i64 };
    let shift = u32::try_from(right).ok().filter(|shift| *shift < 64);
    let truth = |is: bool| (u64::from(is), false);
    Some(match operator {
        "||" | "&&" => truth(right != 0),
        "|" => (left | right, unsigned),
        "^" => (left ^ right, unsigned),
        "&" => (left & right, unsigned),
        "==" => truth(left == right),
        "!=" => truth(left != right),
        "<" => truth(less(left, right)),
        ">" => truth(less(right, left)),
        "<=" => truth(!less(right, left)),
        ">=" => truth(!less(left, right)),
        "<<" => (left << shift?, left_unsigned),
        ">>" if left_unsigned => (left >> shift?, true),
        ">>" => (((left as i64) >> shift?) as u64, false),
        "+" => (left.wrapping_add(right), unsigned),
        "-" => (left.wrapping_sub(right), unsigned),
        "*" => (left.wrapping_mul(right), unsigned),
        "/" if unsigned => (left.checked_div(right)?, true),
        "/" => ((left as i64).checked_div(right as i64)? as u64, false),
        "%" if unsigned => (left.checked_rem(right)?, true),
        "%" => ((left as i64).checked_rem(right as i64)? as u64, false),
        _ => return None,
    })
}

/// `%-08llx`
struct Conversion<'a> {
    flags: &'a str,
    width: usize,
    long: bool,
    letter: char,
    /// Behind `%p`: `U` of `%pU`.
    kind: Option<char>,
}

impl<'a> Conversion<'a> {
    fn parse(text: &'a str) -> Option<(Self, &'a str)> {
        /// Widest number.
        const WIDEST: usize = 64;
        let split =
            |text: &'a str, of: fn(char) -> bool| text.split_at(text.find(|c| !of(c)).unwrap_or(text.len()));
        let (flags, rest) = split(text, |c| "-+ #0".contains(c));
        let (width, rest) = split(rest, |c| c.is_ascii_digit());
        let (long, rest) = split(rest, |c| "hlzq".contains(c));
        let mut letters = rest.chars();
        let letter = letters.next()?;
        let kind =
            if letter == 'p' { letters.clone().next().filter(char::is_ascii_alphabetic) } else { None };
        let rest = if kind.is_some() { letters.as_str().get(1..)? } else { letters.as_str() };
        let width = if width.is_empty() { 0 } else { width.parse::<usize>().ok()?.min(WIDEST) };
        let long = long.contains(['l', 'z', 'q']);
        Some((Self { flags, width, long, letter, kind }, rest))
    }

    fn print(&self, value: &Value<'_>, out: &mut String) -> Option<()> {
        let text = match (self.letter, value) {
            ('s', Value::Text(text)) => text.clone(),
            ('s', Value::Bytes(bytes)) => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                String::from_utf8_lossy(bytes.get(..end)?).into_owned()
            }
            ('c', Value::Number(number)) => char::from(*number as u8).to_string(),
            ('d' | 'i', Value::Number(number)) if self.long => (*number as i64).to_string(),
            ('d' | 'i', Value::Number(number)) => (*number as i32).to_string(),
            ('u', Value::Number(number)) => self.cut(*number).to_string(),
            ('x', Value::Number(number)) if self.flags.contains('#') => format!("{:#x}", self.cut(*number)),
            ('x', Value::Number(number)) => format!("{:x}", self.cut(*number)),
            ('X', Value::Number(number)) => format!("{:X}", self.cut(*number)),
            ('o', Value::Number(number)) => format!("{:o}", self.cut(*number)),
            ('p', Value::Bytes(bytes)) if self.kind == Some('U') => uuid(bytes.first_chunk()?),
            ('p', Value::Number(number)) => format!("0x{number:x}"),
            _ => return None,
        };
        let missing = self.width.saturating_sub(text.chars().count());
        let zeros = self.flags.contains('0') && !self.flags.contains('-') && self.letter != 's';
        match text.strip_prefix('-').filter(|_| zeros) {
            Some(digits) => write!(out, "-{}{digits}", "0".repeat(missing)),
            None if self.flags.contains('-') => write!(out, "{text}{}", " ".repeat(missing)),
            None => write!(out, "{}{text}", if zeros { "0" } else { " " }.repeat(missing)),
        }
        .ok()
    }

    const fn cut(&self, number: u64) -> u64 {
        if self.long { number } else { number as u32 as u64 }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const ORDER: Order = Order { big: false };

    fn of(print: &str, record: &[u8]) -> Option<String> {
        let text = format!(
            "name: x\nID: 1\nformat:\n\tfield:u64 a;\toffset:0;\tsize:8;\tsigned:0;\n\
             \tfield:s32 b;\toffset:8;\tsize:4;\tsigned:1;\n\tfield:u8 id[16];\toffset:0;\tsize:16;\tsigned:0;\n\
             \tfield:__data_loc char[] s;\toffset:12;\tsize:4;\tsigned:0;\n\nprint fmt: {print}\n"
        );
        render(&Format::parse(&text).unwrap(), record, ORDER)
    }

    /// a is 5, b is -2, s is "hey".
    const RECORD: [u8; 20] =
        [5, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 16, 0, 4, 0, b'h', b'e', b'y', 0];

    #[test]
    fn numbers_strings_and_choices() {
        for (print, expected) in [
            (r#""%llu %d %s%%", REC->a, REC->b, __get_str(s)"#, "5 -2 hey%"),
            (
                r#""%u %x %#x %X %lld", REC->b, REC->b, REC->a, REC->b, REC->b"#,
                "4294967294 fffffffe 0x5 FFFFFFFE -2",
            ),
            (r#""[%4d|%-4d|%04d|%04d]", REC->b, REC->b, REC->b, REC->a"#, "[  -2|-2  |-002|0005]"),
            (r#""%s", REC->a == 5 ? "yes" : "no""#, "yes"),
            (r#""%s %d", REC->b < 0 ? "yes" : "no", REC->b < REC->a"#, "yes 0"),
            (r#""%s", (REC->a >= -9ULL || (REC->a >= 1ULL && REC->a <= 8ULL)) ? "tree" : "-""#, "tree"),
            (r#""%s", __print_symbolic(REC->b, { -1, "ONE" }, { -2, "TWO" })"#, "TWO"),
            (r#""%s", __print_symbolic(REC->a, { NAME, "ONE" })"#, "0x5"),
            (r#""%s", __print_flags(REC->a, "|", { (1ULL << 0), "A" }, { 1 << 1, "B" }, { 4, "C" })"#, "A|C"),
            (r#""%s", __print_flags(REC->a, "|", { 1, "A" })"#, "A|0x4"),
            (r#""%s", __print_flags(0, "|", { 1, "A" })"#, ""),
            (r#""%d %d", (int)REC->a * 2 % 4, !!REC->a"#, "2 1"),
            (r#""%llu", (u32)REC->b"#, "4294967294"),
            (r#""%pU", REC->id"#, "05000000-0000-0000-feff-ffff10000400"),
            (r#""%p", REC->a"#, "0x5"),
        ] {
            assert_eq!(of(print, &RECORD).as_deref(), Some(expected), "{print}");
        }
    }

    #[test]
    fn what_does_not_fit_is_none() {
        for print in [
            r#""%d""#,
            r#""%d", "text""#,
            r#""%s", REC->a"#,
            r#""%d", REC->a / 0"#,
            r#""%d", 1 << 64"#,
            r#""%d", NAME"#,
            r#""%pU", __get_str(s)"#,
            r#""%"#,
            r#""%", 1"#,
            r#""%lld", REC->a - "x""#,
        ] {
            assert_eq!(of(print, &RECORD), None, "{print}");
        }
        assert_eq!(of(r#""%d", REC->b"#, &RECORD[..9]), None);
        assert_eq!(of(r#""%s", __get_str(s)"#, &RECORD[..18]), None);
    }

    #[test]
    fn the_text_is_bounded() {
        let text = of(&format!(r#""{}{}", 1"#, "%d", "%%".repeat(20_000)), &RECORD).unwrap();
        assert!(text.len() <= LONGEST_LINE + 64, "{}", text.len());
    }
}
