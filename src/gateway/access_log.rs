//! One line of JSON for each question. Whoever asks never waits for it: what takes the lines has a thread of its own, and if
//! that is too slow, lines are left out and counted.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::metrics::counter::Counter;

use super::settings::Lines;
use crate::ask::access::Record;

/// How many lines may wait.
const WAITING: usize = 8192;

/// How long what writes them rests after it has written all there are.
const REST: Duration = Duration::from_millis(20);

/// Where lines go.
pub struct AccessLog {
    sender: Option<SyncSender<Box<Record>>>,
    writer: Option<thread::JoinHandle<()>>,
    dropped: Counter,
}

impl AccessLog {
    /// Opens it. `dropped` counts what is left out.
    pub fn open(to: &Lines, dropped: Counter) -> anyhow::Result<Self> {
        match to {
            Lines::Nowhere => Ok(Self { sender: None, writer: None, dropped }),
            Lines::Stdout => Self::to(io::stdout(), dropped),
            Lines::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                Self::to(file.with_context(|| format!("the access log {}", path.display()))?, dropped)
            }
        }
    }

    fn to(target: impl Write + Send + 'static, dropped: Counter) -> anyhow::Result<Self> {
        let (sender, records) = sync_channel(WAITING);
        let lost = dropped.clone();
        let writer =
            thread::Builder::new().name("access-log".into()).spawn(move || write(&records, target, &lost));
        Ok(Self { sender: Some(sender), writer: Some(writer?), dropped })
    }

    /// Writes what a record says, if it is wanted.
    pub fn line(&self, record: impl FnOnce() -> Record) {
        if let Some(sender) = &self.sender
            && sender.try_send(Box::new(record())).is_err()
        {
            self.dropped.inc();
        }
    }
}

impl Drop for AccessLog {
    /// What waits is written before the process ends.
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Writes what comes, and hands it on whenever nothing waits; then it rests, so that under load it is woken a few times a second
/// and not for each line.
fn write(records: &Receiver<Box<Record>>, target: impl Write, lost: &Counter) {
    let mut target = BufWriter::new(target);
    while let Ok(first) = records.recv() {
        let mut next = Some(first);
        while let Some(record) = next {
            if target.write_all(record.line().as_bytes()).is_err() {
                lost.inc();
            }
            next = records.try_recv().ok();
        }
        if target.flush().is_err() {
            lost.inc();
        }
        thread::sleep(REST);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::ask::access::Operation;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>, Arc<Mutex<()>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _slow = self.1.lock().unwrap();
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(number: usize) -> Record {
        Record::new(&number.to_string(), Timestamp::UNIX_EPOCH, Operation::Retrieve)
    }

    #[test]
    fn what_waits_is_written_before_the_end() {
        let (page, dropped) = (Page::default(), Counter::default());
        let log = AccessLog::to(page.clone(), dropped.clone()).unwrap();
        for line in 0..100 {
            log.line(|| record(line));
        }
        drop(log);
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!((text.lines().count(), dropped.get(), text.ends_with('\n')), (100, 0, true));
        for (number, line) in text.lines().enumerate() {
            assert_eq!(line, record(number).line().trim_end());
        }
    }

    #[test]
    fn nobody_waits_for_what_takes_the_lines() {
        let (page, dropped) = (Page::default(), Counter::default());
        let slow = page.1.clone();
        let held = slow.lock().unwrap();
        let log = AccessLog::to(page.clone(), dropped.clone()).unwrap();
        let begun = std::time::Instant::now();
        for _ in 0..WAITING + 8192 {
            log.line(|| record(0));
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!(dropped.get() > 0);
        drop(held);
    }

    #[test]
    fn a_file_is_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        for _ in 0..2 {
            let log = AccessLog::open(&Lines::File(path.clone()), Counter::default()).unwrap();
            log.line(|| record(1));
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), record(1).line().repeat(2));
    }
}
