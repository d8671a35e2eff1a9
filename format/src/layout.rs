//! One statement of each layout: the struct, its size, and the table in `docs/FORMAT.md`.

/// One field of a layout: name, offset, size, meaning.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Field name.
    pub name: &'static str,
    /// Offset in bytes from the start of the structure.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
    /// What it holds.
    pub meaning: &'static str,
}

/// One layout.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Name of the struct.
    pub name: &'static str,
    /// Size in bytes.
    pub size: usize,
    /// Its fields, in order.
    pub fields: &'static [Field],
}

impl Layout {
    /// This layout as a table in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("**{}**, {} bytes\n\n", self.name, self.size);
        text.push_str("| offset | size | field | meaning |\n| ---: | ---: | --- | --- |\n");
        for field in self.fields {
            text.push_str(&format!(
                "| {} | {} | {} | {} |\n",
                field.offset, field.size, field.name, field.meaning
            ));
        }
        text
    }
}

/// Declares a `#[repr(C)]` little-endian struct, checks its size at compile time and records its table.
macro_rules! layout {
    ($(#[$outer:meta])* $name:ident = $size:literal { $($field:ident : $type:ty = $meaning:literal,)* }) => {
        $(#[$outer])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout,
            zerocopy::Immutable, zerocopy::Unaligned,
        )]
        #[repr(C)]
        pub struct $name {
            $(#[doc = $meaning] pub $field: $type,)*
        }
        const _: () = assert!(size_of::<$name>() == $size);
        impl $name {
            /// Size in bytes.
            pub const SIZE: usize = $size;
            /// The table of this layout.
            pub const LAYOUT: crate::layout::Layout = crate::layout::Layout {
                name: stringify!($name),
                size: $size,
                fields: &[$(crate::layout::Field {
                    name: stringify!($field),
                    offset: std::mem::offset_of!($name, $field),
                    size: size_of::<$type>(),
                    meaning: $meaning,
                },)*],
            };
        }
    };
}
pub(crate) use layout;

/// All layouts, in the order of `docs/FORMAT.md`.
#[must_use]
pub fn tables() -> Vec<Layout> {
    vec![
        crate::superblock::Superblock::LAYOUT,
        crate::history::HistoryHeader::LAYOUT,
        crate::segment::SegmentHeader::LAYOUT,
        crate::flush::FlushHeader::LAYOUT,
        crate::record::RecordHeader::LAYOUT,
        crate::compressed::CompressedHeader::LAYOUT,
        crate::range_delete::RangeDeleteHeader::LAYOUT,
        crate::range_delete::KeyMark::LAYOUT,
        crate::manifest::ManifestHeader::LAYOUT,
        crate::manifest::ManifestRecordHeader::LAYOUT,
        crate::slot_file::SlotFileHeader::LAYOUT,
        crate::slot::SlotHeader::LAYOUT,
        crate::page_map::MapBlockHeader::LAYOUT,
        crate::double_write::DoubleWriteHeader::LAYOUT,
        crate::hint::HintHeader::LAYOUT,
        crate::hint::HintTable::LAYOUT,
        crate::hint::HintEntry::LAYOUT,
    ]
}
