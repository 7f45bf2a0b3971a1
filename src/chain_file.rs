//! Blocks in a file: what `callboard chain export` writes and `callboard chain import` reads.
//!
//! | bytes | what |
//! |---|---|
//! | 18 | `callboard-chain/1` and a newline |
//! | 32 | hash of the chain's block 0 |
//! | 8 | first height, big-endian |
//! | 8 | last height, big-endian |
//! | then, for each block | its length (4, big-endian) and its canonical bytes, as between peers |
//!
//! The same blocks always make the same file. A reader holds one block at a time.

use alloy_primitives::{B256, Bytes};
use callboard_actors::transport::frames::{frame_prefix, max_frame};
use callboard_chain::config::MAX_BLOCK_BYTES_LIMIT;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// What a file of blocks begins with.
const MAGIC: &[u8; 18] = b"callboard-chain/1\n";

/// Which blocks a file holds, of which chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Hash of the chain's block 0.
    pub genesis_hash: B256,
    /// The first height.
    pub from: u64,
    /// The last height.
    pub to: u64,
}

/// Why a file of blocks could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ChainFileError {
    /// There is something at the path already.
    #[error("{} exists already and is not overwritten; choose another name", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is another file.
    #[error("{} holds no exported blocks: it does not begin with \"callboard-chain/1\"", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// Its heights go backwards.
    #[error("{} is damaged: it says that it holds the blocks {from} to {to}", path.display())]
    Range {
        /// The path.
        path: PathBuf,
        /// The first height.
        from: u64,
        /// The last height.
        to: u64,
    },
    /// It ends too early.
    #[error("{} is torn: it ends inside of block {height}, and was to go on to block {to}", path.display())]
    Torn {
        /// The path.
        path: PathBuf,
        /// The first block that is not whole.
        height: u64,
        /// The last block it was to hold.
        to: u64,
    },
    /// A length that no block has.
    #[error("{} is damaged at block {height}: a length of {actual} bytes, at most {expected} are possible", path.display())]
    Length {
        /// The path.
        path: PathBuf,
        /// The block.
        height: u64,
        /// The longest block there can be, bytes.
        expected: u64,
        /// The length in the file, bytes.
        actual: u64,
    },
    /// Something follows the last block.
    #[error("{} is damaged: there are bytes after its last block {to}", path.display())]
    Trailing {
        /// The path.
        path: PathBuf,
        /// The last block.
        to: u64,
    },
}

/// Writes blocks to a file, which gets its name when it is whole.
pub struct ChainFileWriter {
    path: PathBuf,
    unfinished: PathBuf,
    file: BufWriter<File>,
}

impl ChainFileWriter {
    /// Begins a file for these blocks. Refuses where there is one.
    pub fn create(path: &Path, contents: Contents) -> Result<Self, ChainFileError> {
        if path.exists() {
            return Err(ChainFileError::Exists { path: path.to_owned() });
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let unfinished = path.with_file_name(name);
        let file = File::create(&unfinished).map_err(|source| io_error(&unfinished, source))?;
        let mut writer = Self { path: path.to_owned(), unfinished, file: BufWriter::new(file) };
        for part in [
            MAGIC.as_slice(),
            contents.genesis_hash.as_slice(),
            &contents.from.to_be_bytes(),
            &contents.to.to_be_bytes(),
        ] {
            writer.put(part)?;
        }
        Ok(writer)
    }

    /// Adds the next block.
    pub fn write(&mut self, canonical: &Bytes) -> Result<(), ChainFileError> {
        self.put(&frame_prefix(canonical.len()))?;
        self.put(canonical)
    }

    /// Makes the file durable and gives it its name; its length.
    pub fn finish(mut self) -> Result<u64, ChainFileError> {
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        let length = done.and_then(|()| Ok(self.file.get_ref().metadata()?.len()));
        let length = length.and_then(|length| fs::rename(&self.unfinished, &self.path).map(|()| length));
        length.map_err(|source| io_error(&self.path, source))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ChainFileError> {
        self.file.write_all(bytes).map_err(|source| io_error(&self.unfinished, source))
    }
}

impl Drop for ChainFileWriter {
    /// An unfinished file is worth nothing. Once finished it bears another name, and there is nothing to remove.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.unfinished);
    }
}

/// Reads blocks from a file, one at a time.
pub struct ChainFileReader {
    path: PathBuf,
    contents: Contents,
    next: Option<u64>,
    file: BufReader<File>,
}

impl ChainFileReader {
    /// Opens a file and reads what it holds.
    pub fn open(path: &Path) -> Result<Self, ChainFileError> {
        let path = path.to_owned();
        let file = File::open(&path).map_err(|source| io_error(&path, source))?;
        let mut file = BufReader::new(file);
        let mut head = [0; 66];
        match file.read_exact(&mut head) {
            Ok(()) if head.starts_with(MAGIC) => {}
            Err(source) if source.kind() != ErrorKind::UnexpectedEof => return Err(io_error(&path, source)),
            _ => return Err(ChainFileError::Foreign { path }),
        }
        let contents = Contents {
            genesis_hash: B256::from_slice(&head[18..50]),
            from: number(&head[50..58]),
            to: number(&head[58..]),
        };
        if contents.from > contents.to {
            return Err(ChainFileError::Range { path, from: contents.from, to: contents.to });
        }
        Ok(Self { path, contents, next: Some(contents.from), file })
    }

    /// What the file says that it holds.
    pub fn contents(&self) -> Contents {
        self.contents
    }

    /// The next block: the height it stands for, and its bytes, which nobody has looked at yet. `None` after the last.
    pub fn read(&mut self) -> Result<Option<(u64, Bytes)>, ChainFileError> {
        let Some(height) = self.next else { return self.nothing_follows().map(|()| None) };
        let mut prefix = [0; 4];
        self.file.read_exact(&mut prefix).map_err(|source| self.broken(height, source))?;
        let (expected, actual) = (max_frame(MAX_BLOCK_BYTES_LIMIT), u64::from(u32::from_be_bytes(prefix)));
        if actual == 0 || actual > expected {
            return Err(ChainFileError::Length { path: self.path.clone(), height, expected, actual });
        }
        // Memory grows with what is there, not with what is announced.
        let mut bytes = Vec::new();
        let read = self.file.by_ref().take(actual).read_to_end(&mut bytes);
        match read {
            Ok(read) if read as u64 == actual => {}
            Ok(_) => return Err(self.broken(height, ErrorKind::UnexpectedEof.into())),
            Err(source) => return Err(self.broken(height, source)),
        }
        self.next = height.checked_add(1).filter(|next| *next <= self.contents.to);
        Ok(Some((height, bytes.into())))
    }

    fn nothing_follows(&mut self) -> Result<(), ChainFileError> {
        match self.file.read(&mut [0]).map_err(|source| io_error(&self.path, source))? {
            0 => Ok(()),
            _ => Err(ChainFileError::Trailing { path: self.path.clone(), to: self.contents.to }),
        }
    }

    fn broken(&self, height: u64, source: io::Error) -> ChainFileError {
        match source.kind() {
            ErrorKind::UnexpectedEof => ChainFileError::Torn { path: self.path.clone(), height, to: self.contents.to },
            _ => io_error(&self.path, source),
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn io_error(path: &Path, source: io::Error) -> ChainFileError {
    ChainFileError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENTS: Contents = Contents { genesis_hash: B256::repeat_byte(7), from: 5, to: 7 };

    fn blocks() -> Vec<Bytes> {
        vec![vec![1; 10].into(), vec![2; 300].into(), vec![3].into()]
    }

    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("blocks");
        let mut writer = ChainFileWriter::create(&path, CONTENTS).unwrap();
        blocks().iter().for_each(|block| writer.write(block).unwrap());
        assert_eq!(writer.finish().unwrap(), fs::metadata(&path).unwrap().len());
        path
    }

    /// The whole blocks that come before the error, and the error.
    fn read_all(path: &Path) -> (Vec<Bytes>, Result<(), ChainFileError>) {
        let mut reader = match ChainFileReader::open(path) {
            Ok(reader) => reader,
            Err(error) => return (Vec::new(), Err(error)),
        };
        let mut read = Vec::new();
        loop {
            match reader.read() {
                Ok(Some((height, bytes))) => {
                    assert_eq!(height, 5 + read.len() as u64);
                    read.push(bytes);
                }
                Ok(None) => return (read, Ok(())),
                Err(error) => return (read, Err(error)),
            }
        }
    }

    #[test]
    fn blocks_come_out_as_they_went_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        assert_eq!(ChainFileReader::open(&path).unwrap().contents(), CONTENTS);
        let (read, end) = read_all(&path);
        assert!(end.is_ok());
        assert_eq!(read, blocks());
        assert!(matches!(ChainFileWriter::create(&path, CONTENTS), Err(ChainFileError::Exists { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no unfinished file stays");
    }

    #[test]
    fn a_file_cut_anywhere_gives_its_whole_blocks_and_names_the_first_torn_one() {
        let folder = tempfile::tempdir().unwrap();
        let whole = fs::read(written(folder.path())).unwrap();
        let path = folder.path().join("cut");
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (read, end) = read_all(&path);
            match end.unwrap_err() {
                ChainFileError::Foreign { .. } => assert!(cut < 66),
                ChainFileError::Torn { height, to: 7, .. } => assert_eq!(height, 5 + read.len() as u64),
                other => panic!("{other}"),
            }
            assert_eq!(read, blocks()[..read.len()]);
        }
    }

    #[test]
    fn impossible_lengths_and_more_than_was_said_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = fs::read(written(folder.path())).unwrap();
        let path = folder.path().join("altered");
        bytes.push(0);
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(read_all(&path).1, Err(ChainFileError::Trailing { to: 7, .. })));
        for length in [[0; 4], [0xff; 4]] {
            bytes[66..70].copy_from_slice(&length);
            fs::write(&path, &bytes).unwrap();
            assert!(matches!(read_all(&path).1, Err(ChainFileError::Length { height: 5, .. })));
        }
        bytes[50] = 1;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(read_all(&path).1, Err(ChainFileError::Range { .. })));
    }
}
