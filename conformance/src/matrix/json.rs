//! The matrix for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Matrix, Row};

/// Writes it as one object and a line's end.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(matrix: &Matrix, to: &mut dyn Write) -> io::Result<()> {
    let object = json!({
        "schema": 1,
        "kernel": matrix.kernel,
        "mode": matrix.mode,
        "seed": matrix.seed,
        "duration_ms": u64::try_from(matrix.duration.as_millis()).unwrap_or(u64::MAX),
        "stopped": matrix.stopped,
        "left": matrix.left,
        "appliers": matrix.rows.iter().map(row).collect::<Vec<_>>(),
    });
    serde_json::to_writer_pretty(&mut *to, &object)?;
    writeln!(to)?;
    to.flush()
}

fn row(row: &Row) -> Value {
    json!({
        "name": row.fixture.name,
        "kind": row.fixture.kind.folder(),
        "story": row.fixture.header.story,
        "caught_by": row.fixture.header.caught_by,
        "beside": row.beside(),
        "differs": row.differs(),
        "wrong": row.wrong(),
        "clauses": row.records,
    })
}
