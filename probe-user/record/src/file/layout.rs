//! Layout of the file header and the block header. All numbers are little endian; `docs/file-format.md` has the tables.
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// First bytes of a recording. The first byte is not text and the last is a line end, so that a transfer in text mode is
/// detected.
pub const FILE_MAGIC: [u8; 8] = *b"\x89RSVREC\n";
/// First bytes of a block.
pub const BLOCK_MAGIC: [u8; 8] = *b"\x89RSVBLK\n";
/// Raised when an older reader would misread the file; an older reader refuses such a file.
pub const FORMAT_MAJOR: u16 = 1;
/// Raised when something is added that an older reader can skip.
pub const FORMAT_MINOR: u16 = 3;

/// Longest payload of a block, before compression.
pub const MAX_RAW_LEN: usize = 4 << 20;
/// Longest payload of a block as stored: the most that zstd makes of `MAX_RAW_LEN` incompressible bytes, rounded up.
pub const MAX_STORED_LEN: usize = MAX_RAW_LEN + (MAX_RAW_LEN >> 8) + 64;
/// Longest session header.
pub const MAX_SESSION_LEN: usize = MAX_RAW_LEN;

/// `FileHeader::state`: the recorder has not finished.
pub const STATE_INCOMPLETE: u32 = 1;
/// `FileHeader::state`: the session end is in the file.
pub const STATE_COMPLETE: u32 = 2;

/// `BlockHeader::kind`: records as in the ring.
pub const BLOCK_RECORDS: u16 = 1;
/// `BlockHeader::kind`: a JSON array of [`crate::session::SymbolRow`].
pub const BLOCK_SYMBOLS: u16 = 2;
/// `BlockHeader::kind`: a JSON [`crate::session::SessionEnd`].
pub const BLOCK_SESSION_END: u16 = 3;

/// `BlockHeader::codec`: the payload is stored as it is.
pub const CODEC_NONE: u8 = 0;
/// `BlockHeader::codec`: the payload is one zstd frame.
pub const CODEC_ZSTD: u8 = 1;

/// First 48 bytes of a recording; the session header follows as JSON, then the blocks.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct FileHeader {
    /// [`FILE_MAGIC`]
    pub magic: [u8; 8],
    /// [`FORMAT_MAJOR`]
    pub major: U16,
    /// [`FORMAT_MINOR`]
    pub minor: U16,
    /// [`probe_common::ABI_VERSION`]
    pub abi: U32,
    /// Random number. Each block repeats it, so that a block of another recording is not taken for one of this.
    pub file_id: U64,
    /// Bytes of JSON that follow.
    pub json_len: U32,
    /// CRC-32 of the JSON.
    pub json_crc: U32,
    /// Zero.
    pub reserved: U64,
    /// CRC-32 of the 40 bytes before.
    pub header_crc: U32,
    /// `STATE_*`. Outside the checksum, because it is overwritten in place at the end.
    pub state: U32,
}

/// Size of [`FileHeader`].
pub const FILE_HEADER_LEN: usize = 48;
/// Offset of [`FileHeader::state`] in the file.
pub const STATE_OFFSET: u64 = 44;
const FILE_CRC_LEN: usize = 40;
const _: () = assert!(size_of::<FileHeader>() == FILE_HEADER_LEN);

impl FileHeader {
    /// The header of a recording in progress.
    #[must_use]
    pub fn new(file_id: u64, json: &[u8]) -> Self {
        Self {
            magic: FILE_MAGIC,
            major: FORMAT_MAJOR.into(),
            minor: FORMAT_MINOR.into(),
            abi: probe_common::ABI_VERSION.into(),
            file_id: file_id.into(),
            json_len: (json.len() as u32).into(),
            json_crc: crc32fast::hash(json).into(),
            reserved: 0.into(),
            header_crc: 0.into(),
            state: STATE_INCOMPLETE.into(),
        }
        .sealed()
    }

    /// Sets the checksum.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.header_crc = self.crc().into();
        self
    }

    /// True if the checksum is right.
    #[must_use]
    pub fn intact(&self) -> bool {
        self.header_crc.get() == self.crc()
    }

    fn crc(&self) -> u32 {
        crc32fast::hash(&self.as_bytes()[..FILE_CRC_LEN])
    }
}

/// The 72 bytes before each payload.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct BlockHeader {
    /// [`BLOCK_MAGIC`]
    pub magic: [u8; 8],
    /// `BLOCK_*`; a block of another kind is skipped.
    pub kind: U16,
    /// `CODEC_*`; a block of another codec is skipped.
    pub codec: u8,
    /// Zero; a block with other flags is skipped.
    pub flags: u8,
    /// Records in the payload.
    pub records: U32,
    /// Bytes of the payload before compression.
    pub raw_len: U32,
    /// Bytes of the payload as stored.
    pub stored_len: U32,
    /// Earliest time of a record, `CLOCK_MONOTONIC` ns; 0 without records.
    pub first_time: U64,
    /// Latest time of a record, `CLOCK_MONOTONIC` ns; 0 without records.
    pub last_time: U64,
    /// [`FileHeader::file_id`]
    pub file_id: U64,
    /// Number of the block in the file, from 0.
    pub sequence: U64,
    /// Records in all blocks before this one, so that missing records can be counted.
    pub records_before: U64,
    /// CRC-32 of the payload as stored.
    pub payload_crc: U32,
    /// CRC-32 of the 68 bytes before.
    pub header_crc: U32,
}

/// Size of [`BlockHeader`].
pub const BLOCK_HEADER_LEN: usize = 72;
const BLOCK_CRC_LEN: usize = 68;
const _: () = assert!(size_of::<BlockHeader>() == BLOCK_HEADER_LEN);

impl BlockHeader {
    /// Sets magic and checksum.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.magic = BLOCK_MAGIC;
        self.header_crc = crc32fast::hash(&self.as_bytes()[..BLOCK_CRC_LEN]).into();
        self
    }

    /// The header at the start of `bytes`, if magic, checksum and limits are right.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, _) = Self::read_from_prefix(bytes).ok()?;
        let right = header.magic == BLOCK_MAGIC
            && header.header_crc.get() == crc32fast::hash(&header.as_bytes()[..BLOCK_CRC_LEN])
            && header.raw_len.get() as usize <= MAX_RAW_LEN
            && header.stored_len.get() as usize <= MAX_STORED_LEN;
        right.then_some(header)
    }

    /// Length of header and payload in the file, bytes.
    #[must_use]
    pub fn total_len(&self) -> usize {
        BLOCK_HEADER_LEN + self.stored_len.get() as usize
    }
}
