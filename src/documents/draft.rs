//! The next ledger while a review goes by. As long as it would say what the last one says nothing is written, so that a
//! review that finds nothing changed has written nothing; from the first difference on it is, after a copy of what both
//! have in common.

use serde_json::Value;

use super::ledger::{Entry, HEADER};
use crate::aws::{Aws, Writer};
use crate::stack::fault::Fault;

/// See the [module](self).
pub struct Draft<'a> {
    aws: &'a Aws,
    bucket: &'a str,
    key: &'a str,
    /// The description of the job that it is written for.
    job: &'a str,
    writer: Writer,
    /// Lines that are as in the last ledger, from its first on, and not written yet.
    same: usize,
    differs: bool,
}

impl<'a> Draft<'a> {
    /// Nothing is known to differ yet.
    pub fn new(aws: &'a Aws, bucket: &'a str, key: &'a str, job: &'a str) -> Self {
        let writer = aws.objects.writer(bucket, key, "text/plain; charset=utf-8");
        Self { aws, bucket, key, job, writer, same: 0, differs: false }
    }

    /// The next line.
    pub async fn line(&mut self, entry: &Entry) -> Result<(), Fault> {
        if self.differs {
            return self.writer.write(entry.line().as_bytes()).await;
        }
        self.same += 1;
        Ok(())
    }

    /// From the next line on it may say something else than the last.
    pub async fn differs(&mut self) -> Result<(), Fault> {
        if std::mem::replace(&mut self.differs, true) {
            return Ok(());
        }
        self.writer.write(format!("{HEADER}\n{}\n", Value::from(self.job)).as_bytes()).await?;
        if self.same == 0 {
            return Ok(());
        }
        let Some(mut last) = self.aws.objects.lines(self.bucket, self.key).await? else { return Ok(()) };
        // Its header, and the job that it was written for.
        last.next().await?;
        last.next().await?;
        for _ in 0..self.same {
            let Some(line) = last.next().await? else { break };
            self.writer.write(format!("{line}\n").as_bytes()).await?;
        }
        Ok(())
    }

    /// The ledger, written as far as it is needed.
    pub fn written(self) -> Writer {
        self.writer
    }
}
