//! The ids of records.

use super::{Executor, damaged};
use crate::{Micros, Result};

const ID_LAST: &str = "SELECT last FROM sequence WHERE name = 'record'";
const SET_ID_LAST: &str = "UPDATE sequence SET last = ?1 WHERE name = 'record'";

/// The ids given in one transaction: read from the database at the first, written back with
/// [`Ids::save`] before the commit.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Ids {
    last: Option<i64>,
}

impl Ids {
    /// The next id: the time of the record, or just after the last id if that is not less.
    pub(super) fn next(&mut self, db: &mut dyn Executor, at: Micros) -> Result<i64> {
        let last = match self.last {
            Some(last) => last,
            None => db
                .query_first(ID_LAST, &[])?
                .ok_or_else(|| damaged("no last id"))?
                .int()?,
        };
        let after = last
            .checked_add(1)
            .ok_or_else(|| damaged("the ids are used up"))?;
        let id = after.max(at);
        self.last = Some(id);
        Ok(id)
    }

    /// Writes the last id given, if any was.
    pub(crate) fn save(&self, db: &mut dyn Executor) -> Result<()> {
        if let Some(last) = self.last
            && db.execute(SET_ID_LAST, &[last.into()])? != 1
        {
            return Err(damaged("no last id"));
        }
        Ok(())
    }
}

/// An id as the domain has it.
pub(super) fn outward(id: i64) -> Result<u64> {
    u64::try_from(id).map_err(|_| damaged("an id is negative"))
}
