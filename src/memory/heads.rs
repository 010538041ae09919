//! How large the heads of requests are that a route answers well.

use super::table::{Bounded, Table};
use crate::exchange::View;

/// Entries of the table.
const ROUTES: usize = 4096;

/// The largest heads, by route: bounded like all that is remembered.
pub(super) struct Heads {
    routes: Table<u64, u64>,
}

impl Default for Heads {
    fn default() -> Self {
        Heads { routes: Table::new(ROUTES) }
    }
}

impl Heads {
    pub(super) fn tables(&mut self) -> Vec<&mut dyn Bounded> {
        vec![&mut self.routes]
    }

    /// The size in bytes of the largest head that this exchange's route answered well.
    pub(super) fn largest(&self, view: &View<'_>) -> Option<u64> {
        self.routes.get(&view.route()).copied().filter(|size| *size > 0)
    }

    pub(super) fn learn(&mut self, view: &View<'_>) {
        if !(200..400).contains(&view.status()) {
            return;
        }
        let route = view.route();
        let known = self.routes.entry(route);
        *known = (*known).max(view.request().size());
    }
}
