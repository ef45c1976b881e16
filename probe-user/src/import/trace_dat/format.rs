//! The format file of an event: which fields a record has, and how the kernel prints them.
use super::{
    bytes::Order,
    print::{self, Print},
};

/// Most fields of an event.
const MOST_FIELDS: usize = 256;

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name.
    pub name: Box<str>,
    /// Offset in the record.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
    /// A number of it has a sign.
    pub signed: bool,
    /// Where its content is.
    pub place: Place,
}

/// Where the content of a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the field.
    Here,
    /// Behind the fields; the field has length and offset (`__data_loc`).
    Behind,
    /// The same, the offset counting from the end of the field (`__rel_loc`).
    BehindHere,
}

/// An event.
#[derive(Clone, Debug)]
pub struct Format {
    /// Name.
    pub name: Box<str>,
    /// The number that its records have.
    pub id: u16,
    /// Fields, those common to all events first.
    pub fields: Vec<Field>,
    /// How they are printed; none if that is more than is understood here.
    pub print: Option<Print>,
}

impl Format {
    /// Reads a format file.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mut name, mut id, mut fields, mut print) = (None, None, Vec::new(), None);
        for line in text.lines() {
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("name:") {
                name = Some(rest.trim().into());
            } else if let Some(rest) = line.strip_prefix("ID:") {
                id = Some(rest.trim().parse().ok()?);
            } else if line.starts_with("field:") && fields.len() < MOST_FIELDS {
                fields.push(field(line)?);
            } else if let Some(rest) = line.strip_prefix("print fmt:") {
                print = print::parse(rest, &fields);
            }
        }
        Some(Self { name: name?, id: id?, fields, print })
    }

    /// A field that is a number.
    #[must_use]
    pub fn number(&self, name: &str, record: &[u8], order: Order) -> Option<u64> {
        self.fields.iter().find(|field| &*field.name == name)?.number(record, order)
    }
}

impl Field {
    /// Its bytes in a record.
    #[must_use]
    pub fn bytes<'a>(&self, record: &'a [u8], order: Order) -> Option<&'a [u8]> {
        let end = self.offset.checked_add(self.size)?;
        let here = record.get(self.offset..end)?;
        if self.place == Place::Here {
            return Some(here);
        }
        let location = order.number(here)?;
        let offset = usize::try_from(location & 0xffff).ok()?;
        let length = usize::try_from((location >> 16) & 0xffff).ok()?;
        let start = if self.place == Place::BehindHere { end.checked_add(offset)? } else { offset };
        record.get(start..start.checked_add(length)?)
    }

    /// Its number in a record, the sign extended.
    #[must_use]
    pub fn number(&self, record: &[u8], order: Order) -> Option<u64> {
        let bytes = self.bytes(record, order)?;
        let number = order.number(bytes)?;
        let above = 64 - 8 * u32::try_from(bytes.len()).ok()?;
        Some(if self.signed { (((number << above) as i64) >> above) as u64 } else { number })
    }
}

/// `field:unsigned short common_type; offset:0; size:2; signed:0;`; `header_page` has a blank behind the colon.
#[must_use]
pub fn field(line: &str) -> Option<Field> {
    let mut parts = line.trim().split(';').map(str::trim);
    let declared = parts.next()?.strip_prefix("field:")?.trim();
    let (mut offset, mut size, mut signed) = (None, None, false);
    for part in parts {
        match part.split_once(':') {
            Some(("offset", number)) => offset = Some(number.parse().ok()?),
            Some(("size", number)) => size = Some(number.parse().ok()?),
            Some(("signed", number)) => signed = number == "1",
            _ => {}
        }
    }
    let place = if declared.starts_with("__data_loc") {
        Place::Behind
    } else if declared.starts_with("__rel_loc") {
        Place::BehindHere
    } else {
        Place::Here
    };
    // The length of an array stands behind its name, or with those two behind its type.
    let name = declared.split_once('[').filter(|_| place == Place::Here).map_or(declared, |(name, _)| name);
    let name = name.trim_end().rsplit([' ', '*', ']']).next()?.into();
    Some(Field { name, offset: offset?, size: size?, signed, place })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const ORDER: Order = Order { big: false };

    #[test]
    fn fields_of_all_kinds() {
        let of = |line: &str| {
            let field = field(line).unwrap();
            (field.name.to_string(), field.offset, field.size, field.signed, field.place)
        };
        assert_eq!(
            of("\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;"),
            ("common_type".into(), 0, 2, false, Place::Here)
        );
        assert_eq!(
            of("field:u8 fsid[16];\toffset:8;\tsize:16;\tsigned:0;"),
            ("fsid".into(), 8, 16, false, Place::Here)
        );
        assert_eq!(
            of("field:__data_loc char[] type;\toffset:24;\tsize:4;\tsigned:0;"),
            ("type".into(), 24, 4, false, Place::Behind)
        );
        assert_eq!(of("field:__rel_loc char[] type;\toffset:24;\tsize:4;\tsigned:1;").4, Place::BehindHere);
        assert_eq!(of("\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;").0, "commit");
        assert_eq!(of("field:const void *ip;\toffset:8;\tsize:8;\tsigned:0;").0, "ip");
        assert_eq!(field("field:int x;\toffset:-1;\tsize:8;"), None);
        assert_eq!(field("field:int x;"), None);
    }

    #[test]
    fn contents_are_in_the_record_or_none() {
        let at = |place, size| Field { name: "x".into(), offset: 2, size, signed: true, place };
        let record = [9, 9, 6, 0, 3, 0, b'a', b'b', 0];
        assert_eq!(at(Place::Behind, 4).bytes(&record, ORDER), Some(&b"ab\0"[..]));
        assert_eq!(at(Place::BehindHere, 4).bytes(&record, ORDER), None);
        let record = [9, 9, 0, 0, 3, 0, b'a', b'b', 0];
        assert_eq!(at(Place::BehindHere, 4).bytes(&record, ORDER), Some(&b"ab\0"[..]));
        assert_eq!(at(Place::Here, 2).number(&[0, 0, 0xfe, 0xff], ORDER), Some(-2_i64 as u64));
        assert_eq!(at(Place::Here, 8).number(&[0; 9], ORDER), None);
        assert_eq!(at(Place::Here, usize::MAX).number(&[0; 9], ORDER), None);
        assert_eq!(at(Place::Here, 3).number(&[0; 9], ORDER), None);
    }
}
