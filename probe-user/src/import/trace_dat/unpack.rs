//! What version 7 packs: sections, and chunks of pages.
use std::io::Read as _;

use super::error::DatError;

/// How it is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not.
    None,
    /// By zstd.
    Zstd,
    /// By zlib.
    Zlib,
}

impl Packing {
    /// By its name in the file.
    ///
    /// # Errors
    /// It is another one.
    pub fn of(name: &str) -> Result<Self, DatError> {
        match name {
            "none" | "" => Ok(Self::None),
            "zstd" => Ok(Self::Zstd),
            "zlib" => Ok(Self::Zlib),
            _ => Err(DatError::Other(format!("it is compressed by {name:?}"))),
        }
    }

    /// Unpacks to exactly `size` bytes.
    ///
    /// # Errors
    /// It does not.
    pub fn unpack(self, packed: &[u8], size: usize) -> Result<Vec<u8>, DatError> {
        const WRONG: DatError = DatError::Damaged("a compressed part cannot be unpacked");
        let unpacked = match self {
            Self::None => return Err(DatError::Damaged("a part is compressed, and the file says none is")),
            Self::Zstd => zstd::bulk::decompress(packed, size).map_err(|_| WRONG)?,
            Self::Zlib => {
                let mut out = Vec::new();
                let most = size as u64 + 1;
                flate2::read::ZlibDecoder::new(packed).take(most).read_to_end(&mut out).map_err(|_| WRONG)?;
                out
            }
        };
        if unpacked.len() == size { Ok(unpacked) } else { Err(WRONG) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_was_packed_is_unpacked_to_the_size_that_is_told() {
        let content = vec![7; 40_000];
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&content).unwrap();
        let zstd = zstd::bulk::compress(&content, 3).unwrap();
        for (packing, packed) in
            [(Packing::of("zlib").unwrap(), zlib.finish().unwrap()), (Packing::of("zstd").unwrap(), zstd)]
        {
            assert_eq!(packing.unpack(&packed, content.len()).unwrap(), content);
            for size in [0, content.len() - 1, content.len() + 1] {
                assert!(packing.unpack(&packed, size).is_err(), "{packing:?} {size}");
            }
            assert!(packing.unpack(&packed[..packed.len() / 2], content.len()).is_err());
            assert!(packing.unpack(b"nothing", content.len()).is_err());
        }
        assert!(Packing::None.unpack(&content, content.len()).is_err());
    }
}
