//! Bounded cursors for the parts of a format that vary in length.

use crate::Reason;

/// Appends little-endian numbers and length-prefixed bytes.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// Appends a `u16`.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Appends a `u32`.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Appends a `u64`.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// Appends a `u32` length and the bytes.
    ///
    /// # Panics
    /// When `value` is longer than `u32::MAX`.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.u32(u32::try_from(value.len()).expect("a field is shorter than 4 GiB"));
        self.raw(value)
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes what [`Writer`] appended. Every call checks the bounds first.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Takes `len` bytes.
    ///
    /// # Errors
    /// [`Reason::Short`] when fewer are left.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], Reason> {
        if len > self.bytes.len() {
            return Err(Reason::Short { expected: len as u64, found: self.bytes.len() as u64 });
        }
        let (head, tail) = self.bytes.split_at(len);
        self.bytes = tail;
        Ok(head)
    }

    /// Takes `N` bytes as an array.
    ///
    /// # Errors
    /// [`Reason::Short`] when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N)?);
        Ok(array)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`Reason::Short`] when none is left.
    pub fn u8(&mut self) -> Result<u8, Reason> {
        Ok(self.array::<1>()?[0])
    }

    /// Takes a `u16`.
    ///
    /// # Errors
    /// [`Reason::Short`] when too few bytes are left.
    pub fn u16(&mut self) -> Result<u16, Reason> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Takes a `u32`.
    ///
    /// # Errors
    /// [`Reason::Short`] when too few bytes are left.
    pub fn u32(&mut self) -> Result<u32, Reason> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Takes a `u64`.
    ///
    /// # Errors
    /// [`Reason::Short`] when too few bytes are left.
    pub fn u64(&mut self) -> Result<u64, Reason> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Takes a `u32` length and that many bytes.
    ///
    /// # Errors
    /// [`Reason::Short`] when too few bytes are left.
    pub fn bytes(&mut self) -> Result<&'a [u8], Reason> {
        let len = self.u32()? as usize;
        self.raw(len)
    }

    /// Takes a `u32` count of items of at least `item_size` bytes each, checked against what is left.
    ///
    /// # Errors
    /// [`Reason::Range`] when the items could not fit.
    pub fn count(&mut self, what: &'static str, item_size: usize) -> Result<usize, Reason> {
        let count = self.u32()?;
        let max = self.remaining() / item_size.max(1);
        if count as usize > max {
            return Err(Reason::Range { what, found: u64::from(count), max: max as u64 });
        }
        Ok(count as usize)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Reason::Mismatch`] when bytes are left over.
    pub fn finish(self) -> Result<(), Reason> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Reason::Mismatch {
                what: "trailing bytes",
                expected: 0,
                found: self.bytes.len() as u64,
            })
        }
    }
}
