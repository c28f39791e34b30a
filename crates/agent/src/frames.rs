//! Reads frames off a connection in bounded memory.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::protocol::{FRAME_MAX, FrameError};

pub struct FrameReader<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    complete: bool,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub fn new(reader: R) -> Self {
        FrameReader { reader: BufReader::new(reader), line: Vec::new(), complete: false }
    }

    /// The next line without its line feed; `None` at the end. May be cancelled and called again.
    /// After a line that is too large there is no telling where the next begins: close the
    /// connection.
    pub async fn next(&mut self) -> io::Result<Option<Result<&[u8], FrameError>>> {
        if std::mem::take(&mut self.complete) {
            self.line.clear();
        }
        loop {
            let buffer = self.reader.fill_buf().await?;
            if buffer.is_empty() {
                // What is left has no end: the peer died while it wrote.
                return Ok(None);
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            self.line.extend_from_slice(&buffer[..end.unwrap_or(taken)]);
            self.reader.consume(taken);
            if self.line.len() >= FRAME_MAX {
                return Ok(Some(Err(FrameError::TooLarge(self.line.len()))));
            }
            if end.is_some() {
                self.complete = true;
                return Ok(Some(Ok(&self.line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(bytes: &[u8], expected: &[&[u8]]) {
        let mut reader = FrameReader::new(bytes);
        for line in expected {
            assert_eq!(reader.next().await.unwrap().unwrap().unwrap(), *line);
        }
        assert!(reader.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn splits_lines_and_leaves_out_one_without_an_end() {
        check(b"", &[]).await;
        check(b"a\n\nbc\nd", &[b"a", b"", b"bc"]).await;
    }

    #[tokio::test]
    async fn stops_at_the_limit_without_reading_on() {
        let endless = tokio::io::repeat(b'x');
        let mut reader = FrameReader::new(endless);
        let too_large = reader.next().await.unwrap().unwrap();
        assert!(matches!(too_large, Err(FrameError::TooLarge(size)) if size < FRAME_MAX + 16_384));
    }
}
