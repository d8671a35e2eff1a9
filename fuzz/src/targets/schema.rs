//! Table schemas and changes of the catalogue.

use crate::target::Outcome;
use slotcask_format::schema::{Ddl, DdlAction, TableSchema};
use slotcask_format::slot::SlotLayout;

/// A schema comes back from what it is written as, and gives a layout whose slots do not straddle pages.
pub fn schema(data: &[u8]) -> Outcome {
    let Ok(schema) = TableSchema::decode(data) else { return Outcome::Rejected };
    properties(&schema, data.len());
    Outcome::Accepted
}

/// A change comes back from what it is written as.
pub fn ddl(data: &[u8]) -> Outcome {
    let Ok(ddl) = Ddl::decode(data) else { return Outcome::Rejected };
    let again = ddl.encode();
    assert!(again.len() <= data.len());
    assert_eq!(Ddl::decode(&again).as_ref(), Ok(&ddl));
    if let DdlAction::Create(schema) = &ddl.action {
        properties(schema, data.len());
    }
    Outcome::Accepted
}

fn properties(schema: &TableSchema, len: usize) {
    assert_eq!(schema.invalid(), None);
    let again = schema.encode();
    assert!(again.len() <= len, "a schema grew when it was written again");
    assert_eq!(TableSchema::decode(&again).as_ref(), Ok(schema));
    let layout = SlotLayout::of(schema);
    assert!(layout.slots_per_page > 0);
    assert!(layout.slots_per_page * layout.slot_size <= layout.page_size);
    let last = schema.slot_count_max - 1;
    assert_eq!(layout.offset_of(last) / layout.page_size, layout.page_of(last) as usize);
}
