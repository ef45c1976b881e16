//! Writing to a disk that fills up.
use std::{
    io,
    sync::{Arc, Mutex},
};

use super::{
    super::{
        sink::{Job, Store},
        writer::{finish_sink, session_start, start_sink, status},
    },
    *,
};

/// A store with room for `room` bytes. It does a part of a write that does not fit, as `write(2)` does.
#[derive(Clone)]
struct Disk {
    file: Arc<Mutex<Vec<u8>>>,
    room: Arc<Mutex<usize>>,
}

impl Disk {
    fn new(start: &[u8], room: usize) -> Self {
        Self { file: Arc::new(Mutex::new(start.to_vec())), room: Arc::new(Mutex::new(room)) }
    }
}

impl Store for Disk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap();
        let fits = self.room.lock().unwrap().saturating_sub(file.len()).min(bytes.len());
        file.extend_from_slice(&bytes[..fits]);
        if fits == bytes.len() { Ok(()) } else { Err(io::Error::from_raw_os_error(28)) }
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.lock().unwrap().truncate(len as usize);
        Ok(())
    }

    fn alter(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.lock().unwrap()[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes 10 blocks of 30 records to a disk with room for `room` bytes, and for `more` bytes once the session ends.
fn write(room: usize, more: usize) -> (Vec<u8>, WriteStatus, bool) {
    let start = session_start(&session()).unwrap();
    let disk = Disk::new(&start.bytes, start.bytes.len() + room);
    let parts = start_sink(disk.clone(), &start, &WriterOptions::default()).unwrap();
    for block in 0..10 {
        parts.jobs.send(Job::Records(numbered(block * 30, 30))).unwrap();
    }
    drop(parts.jobs);
    let mut sink = parts.thread.join().unwrap();
    *disk.room.lock().unwrap() += more;
    let before = status(&parts.shared);
    let mut end = SessionEnd { records: before.records, ..SessionEnd::default() };
    end.add_loss(LossClass::FileWrite, before.lost);
    let complete = finish_sink(&mut sink, &end);
    let file = disk.file.lock().unwrap().clone();
    (file, status(&parts.shared), complete)
}

#[test]
fn whatever_the_room_the_file_ends_with_a_whole_block_and_all_else_is_counted() {
    let (sound, _, _) = write(1 << 20, 0);
    for room in (0..sound.len()).step_by(97) {
        let (file, status, complete) = write(room, 0);
        assert_eq!(status.records + status.lost, 300);
        let told = read(&file);
        assert_eq!(told.records.bytes(), numbered(0, status.records).bytes(), "room {room}");
        assert_eq!((told.skipped, told.complete), (Skipped::default(), complete), "room {room}");
        assert_eq!(told.end.is_some(), complete);
        if status.lost > 0 {
            assert!(status.stopped.unwrap().contains("the disk is full"), "room {room}");
        }
    }
}

#[test]
fn with_room_for_the_end_again_the_loss_is_in_the_file_and_in_the_stream() {
    let (sound, _, _) = write(1 << 20, 0);
    let (file, status, complete) = write(sound.len() / 2, 4096);
    assert!(complete && status.lost > 0 && status.records > 0);
    let told = read(&file);
    assert_eq!(told.records.records(), status.records);
    assert!(told.notes.len() == 1 && told.notes[0].contains("The disk was full"), "{:?}", told.notes);
    assert_eq!(told.end.unwrap().loss["file_write"], status.lost);
    let (at, sample) = told.samples.last().unwrap();
    assert_eq!((*at, sample.counts[LossClass::FileWrite as usize]), (status.records, status.lost));
    assert_eq!(sample.header.time, told.records.span().unwrap().1);
}
