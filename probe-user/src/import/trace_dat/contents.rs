//! What a trace.dat has besides events: formats, names of tasks, and where the pages of each CPU are. Versions 6 and 7, as
//! trace-cmd.dat(5) describes them.
use std::io::{Cursor, Read, Seek};

use rustc_hash::FxHashMap;

use super::{
    bytes::{Fields, Order, Reader},
    error::DatError,
    format::{self, Format},
    page::PageLayout,
    unpack::Packing,
};

/// First bytes of every trace.dat.
pub const MAGIC: &[u8] = b"\x17\x08\x44tracing";
/// Most bytes of the format file of an event; the longest one of Linux has some 30 KB.
const MOST_FORMAT: u64 = 1 << 18;
/// Most bytes of the names of tasks.
const MOST_NAMES: u64 = 8 << 20;
/// Most bytes of a section once it is unpacked.
const MOST_SECTION: u64 = 64 << 20;
/// Most bytes of options.
const MOST_OPTIONS: u64 = 4 << 20;
/// Most CPUs of a buffer.
const MOST_CPUS: u32 = 1 << 13;
/// Most buffers, and most sections of options.
const MOST_BUFFERS: usize = 64;
/// Most formats that are kept.
const MOST_FORMATS: usize = 512;

/// Where the pages of a CPU are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuData {
    /// Which one.
    pub cpu: u32,
    /// Place in the file.
    pub offset: u64,
    /// Bytes there.
    pub size: u64,
}

/// A buffer: that of the trace, or that of an instance.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// Name of the instance; empty for the trace itself.
    pub name: String,
    /// Name of its clock; empty if the file has it elsewhere.
    clock: String,
    /// Bytes of a page.
    pub page: u64,
    /// Place of its section in version 7, which says whether it is packed.
    section: Option<u64>,
    /// Packed in chunks.
    pub packed: bool,
    /// Its CPUs that have pages.
    pub cpus: Vec<CpuData>,
}

/// All of it.
#[derive(Debug)]
pub struct Contents {
    /// Byte order.
    pub order: Order,
    /// How it is packed.
    pub packing: Packing,
    /// Where things are in a page.
    pub layout: PageLayout,
    /// Events that may be looked at, by the number of their records.
    pub formats: FxHashMap<u16, Format>,
    /// Names of tasks by thread.
    pub names: FxHashMap<u32, Box<str>>,
    /// Buffers, the trace itself first.
    pub buffers: Vec<Buffer>,
    /// CPUs of the machine.
    pub cpus: u32,
    page: u64,
    clock: String,
}

impl Contents {
    /// Reads it all, up to the events.
    ///
    /// # Errors
    /// The file is not one, or damaged, or of another version.
    pub fn read<R: Read + Seek>(file: &mut Reader<R>) -> Result<Self, DatError> {
        if file.bytes(MAGIC.len() as u64, 16, "first bytes")? != MAGIC {
            return Err(DatError::Damaged("it does not begin as a trace.dat"));
        }
        let version = file.string()?;
        file.order = Order { big: file.number::<1>()? == 1 };
        let order = file.order;
        let long = file.number::<1>()? as usize;
        let page = u64::from(file.u32()?);
        if !matches!(long, 4 | 8) {
            return Err(DatError::Damaged("the size of a long is none"));
        }
        let layout = PageLayout { commit: 8, long, data: 8 + long, order };
        let mut contents = Self {
            order,
            packing: Packing::None,
            layout,
            formats: FxHashMap::default(),
            names: FxHashMap::default(),
            buffers: Vec::new(),
            cpus: 0,
            page,
            clock: String::new(),
        };
        match version.as_str() {
            "6" => contents.version_6(file)?,
            "7" => contents.version_7(file)?,
            _ => return Err(DatError::Other(format!("it has version {version:?}"))),
        }
        contents.buffers.sort_by_key(|buffer| !buffer.name.is_empty());
        Ok(contents)
    }

    /// Whether the times of a buffer are ns.
    #[must_use]
    pub fn in_ns(&self, buffer: &Buffer) -> bool {
        let clock = if buffer.clock.is_empty() { &self.clock } else { &buffer.clock };
        // All clocks, the one in use in brackets; or this one alone.
        let used = clock
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'))
            .map_or(&**clock, |(used, _)| used);
        !matches!(used.trim(), "counter" | "x86-tsc" | "ppc-tb" | "tsc2nsec")
    }

    fn version_6<R: Read + Seek>(&mut self, file: &mut Reader<R>) -> Result<(), DatError> {
        self.header_info(file)?;
        self.ftrace_formats(file)?;
        self.event_formats(file)?;
        for _kallsyms_and_printk in 0..2 {
            let size = file.u32()?;
            file.skip(u64::from(size))?;
        }
        self.task_names(file)?;
        self.cpus = cpus(file.u32()?)?;
        let mut instances = Vec::new();
        let page = self.page;
        let buffer =
            |name, cpus| Buffer { name, clock: String::new(), page, section: None, packed: false, cpus };
        let mut kind = file.bytes(10, 10, "names of parts")?;
        if kind == b"options  \0" {
            loop {
                let id = file.number::<2>()?;
                if id == option::DONE {
                    break;
                }
                let size = u64::from(file.u32()?);
                let data = file.bytes(size, MOST_OPTIONS, "options")?;
                let mut fields = Fields { rest: &data, order: self.order };
                match id {
                    option::CLOCK => self.clock = String::from_utf8_lossy(&data).into_owned(),
                    option::BUFFER if instances.len() < MOST_BUFFERS => {
                        let offset = fields.number(8).ok_or(DatError::Damaged("a buffer has no place"))?;
                        let name = fields.string().filter(|name| !name.is_empty());
                        instances.push((offset, name.unwrap_or_else(|| "?".to_owned())));
                    }
                    _ => {}
                }
            }
            kind = file.bytes(10, 10, "names of parts")?;
        }
        self.buffers.push(buffer(String::new(), pages(file, &kind, self.cpus)?));
        for (offset, name) in instances {
            file.go(offset)?;
            let kind = file.bytes(10, 10, "names of parts")?;
            self.buffers.push(buffer(name, pages(file, &kind, self.cpus)?));
        }
        Ok(())
    }

    fn version_7<R: Read + Seek>(&mut self, file: &mut Reader<R>) -> Result<(), DatError> {
        self.packing = Packing::of(&file.string()?)?;
        let _version = file.string()?;
        let mut next = file.number::<8>()?;
        let mut sections = Vec::new();
        let mut visited = 0;
        while next != 0 {
            visited += 1;
            if visited > MOST_BUFFERS {
                return Err(DatError::Large("options"));
            }
            let data = self.section(file, next, option::DONE)?;
            let mut fields = Fields { rest: &data, order: self.order };
            next =
                self.options(&mut fields, &mut sections).ok_or(DatError::Damaged("an option has no end"))?;
        }
        // Formats are read by the layout of a page, and so on: in the order of version 6, whatever that of the options is.
        sections.sort_unstable();
        for (id, offset) in sections {
            match id {
                option::BUFFER => {}
                option::HEADER_INFO => {
                    let data = self.section(file, offset, id)?;
                    self.header_info(&mut self.of_memory(data))?;
                }
                option::EVENT_FORMATS => {
                    let data = self.section(file, offset, id)?;
                    self.event_formats(&mut self.of_memory(data))?;
                }
                _ => {
                    let data = self.section(file, offset, id)?;
                    self.task_names(&mut self.of_memory(data))?;
                }
            }
        }
        for buffer in &mut self.buffers {
            let Some(section) = buffer.section else { continue };
            file.go(section)?;
            let (id, flags) = (file.number::<2>()?, file.number::<2>()?);
            if id != option::BUFFER {
                return Err(DatError::Damaged("a buffer is not where it should be"));
            }
            buffer.packed = flags & 1 == 1;
        }
        Ok(())
    }

    fn of_memory(&self, data: Vec<u8>) -> Reader<Cursor<Vec<u8>>> {
        let mut reader = Reader::new(Cursor::new(data));
        reader.order = self.order;
        reader
    }

    /// The content of a section of version 7.
    fn section<R: Read + Seek>(
        &self,
        file: &mut Reader<R>,
        offset: u64,
        kind: u64,
    ) -> Result<Vec<u8>, DatError> {
        file.go(offset)?;
        let (id, flags) = (file.number::<2>()?, file.number::<2>()?);
        if id != kind {
            return Err(DatError::Damaged("a section is not where it should be"));
        }
        let _description = file.u32()?;
        let size = file.number::<8>()?;
        if flags & 1 == 0 {
            return file.bytes(size, MOST_SECTION, "sections");
        }
        let (packed, unpacked) = (u64::from(file.u32()?), u64::from(file.u32()?));
        if unpacked > MOST_SECTION {
            return Err(DatError::Large("sections"));
        }
        let packed = file.bytes(packed, MOST_SECTION, "sections")?;
        self.packing.unpack(&packed, usize::try_from(unpacked).map_err(|_| DatError::Large("sections"))?)
    }

    /// Options of version 7; the place of those that follow, or 0.
    fn options(&mut self, fields: &mut Fields<'_>, sections: &mut Vec<(u64, u64)>) -> Option<u64> {
        while !fields.rest.is_empty() {
            let id = fields.number(2)?;
            let size = usize::try_from(fields.u32()?).ok()?;
            let mut data = Fields { rest: fields.bytes(size)?, order: self.order };
            match id {
                option::DONE => return Some(data.number(8).unwrap_or(0)),
                option::CLOCK => self.clock = String::from_utf8_lossy(data.rest).into_owned(),
                option::CPUS => self.cpus = cpus(data.u32()?).ok()?,
                option::BUFFER if self.buffers.len() < MOST_BUFFERS => {
                    let buffer = buffer_7(&mut data)?;
                    self.buffers.push(buffer);
                }
                option::HEADER_INFO | option::EVENT_FORMATS | option::NAMES
                    if sections.len() < MOST_BUFFERS =>
                {
                    sections.push((id, data.number(8)?));
                }
                _ => {}
            }
        }
        Some(0)
    }

    /// `header_page` and `header_event`.
    fn header_info<R: Read + Seek>(&mut self, file: &mut Reader<R>) -> Result<(), DatError> {
        if file.string()? != "header_page" {
            return Err(DatError::Damaged("it has no header_page"));
        }
        let size = file.number::<8>()?;
        let text = file.bytes(size, MOST_FORMAT, "formats")?;
        for field in String::from_utf8_lossy(&text).lines().filter_map(format::field) {
            match &*field.name {
                "commit" if matches!(field.size, 4 | 8) => {
                    (self.layout.commit, self.layout.long) = (field.offset, field.size);
                }
                "data" => self.layout.data = field.offset,
                _ => {}
            }
        }
        if self.layout.commit > 64 || self.layout.data > 64 {
            return Err(DatError::Damaged("its header_page is none"));
        }
        if file.string()? != "header_event" {
            return Err(DatError::Damaged("it has no header_event"));
        }
        let size = file.number::<8>()?;
        file.skip(size)
    }

    fn ftrace_formats<R: Read + Seek>(&self, file: &mut Reader<R>) -> Result<(), DatError> {
        for _ in 0..file.u32()? {
            let size = file.number::<8>()?;
            file.bytes(size, MOST_FORMAT, "formats")?;
        }
        Ok(())
    }

    fn event_formats<R: Read + Seek>(&mut self, file: &mut Reader<R>) -> Result<(), DatError> {
        for _ in 0..file.u32()? {
            let system = file.string()?;
            for _ in 0..file.u32()? {
                let size = file.number::<8>()?;
                let text = file.bytes(size, MOST_FORMAT, "formats")?;
                // `console` has the kernel's messages.
                if !matches!(system.as_str(), "btrfs" | "printk") || self.formats.len() >= MOST_FORMATS {
                    continue;
                }
                if let Some(format) = Format::parse(&String::from_utf8_lossy(&text)) {
                    self.formats.insert(format.id, format);
                }
            }
        }
        Ok(())
    }

    /// `saved_cmdlines` of tracefs: `123 name`.
    fn task_names<R: Read + Seek>(&mut self, file: &mut Reader<R>) -> Result<(), DatError> {
        let size = file.number::<8>()?;
        let text = file.bytes(size, MOST_NAMES, "names of tasks")?;
        for line in String::from_utf8_lossy(&text).lines() {
            if let Some((tid, name)) = line.trim_start().split_once(' ')
                && let Ok(tid) = tid.parse()
            {
                self.names.insert(tid, name.into());
            }
        }
        Ok(())
    }
}

/// Numbers of options; those of sections are the numbers of the sections.
mod option {
    pub const DONE: u64 = 0;
    pub const BUFFER: u64 = 3;
    pub const CLOCK: u64 = 4;
    pub const CPUS: u64 = 8;
    pub const HEADER_INFO: u64 = 16;
    pub const EVENT_FORMATS: u64 = 18;
    pub const NAMES: u64 = 21;
}

fn cpus(number: u32) -> Result<u32, DatError> {
    if number > MOST_CPUS { Err(DatError::Large("numbers of CPUs")) } else { Ok(number) }
}

/// Where the pages are, in version 6.
fn pages<R: Read + Seek>(file: &mut Reader<R>, kind: &[u8], cpus: u32) -> Result<Vec<CpuData>, DatError> {
    match kind {
        b"flyrecord\0" => {}
        b"latency  \0" => return Err(DatError::Other("it is the text of a latency tracer".to_owned())),
        _ => return Err(DatError::Damaged("its events are not where they should be")),
    }
    let mut found = Vec::new();
    for cpu in 0..cpus {
        found.push(CpuData { cpu, offset: file.number::<8>()?, size: file.number::<8>()? });
    }
    Ok(found)
}

/// A buffer of version 7.
fn buffer_7(data: &mut Fields<'_>) -> Option<Buffer> {
    let section = Some(data.number(8)?);
    let (name, clock) = (data.string()?, data.string()?);
    let page = u64::from(data.u32()?);
    let number = cpus(data.u32()?).ok()?;
    let mut found = Vec::new();
    for _ in 0..number {
        found.push(CpuData { cpu: data.u32()?, offset: data.number(8)?, size: data.number(8)? });
    }
    Some(Buffer { name, clock, page, section, packed: false, cpus: found })
}
