//! Which records of two taps are of one request.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::recordings::{Recordings, marks_of};
use crate::hops::Join;
use crate::hops::join::match_up;

/// For each inner record the outer one that it belongs to.
pub(super) type Joined = HashMap<usize, (usize, Join)>;

pub(super) fn join_by_path(recordings: &Recordings, outers: &[usize], inners: &[usize]) -> Joined {
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    let mut by_path: HashMap<&str, usize> = HashMap::new();
    for outer in outers {
        let Some(read) = recordings.record(*outer) else { continue };
        by_id.insert(&read.id, *outer);
        by_path.insert(&read.path_id, *outer);
    }
    let mut joined = Joined::new();
    for inner in inners {
        let Some(read) = recordings.record(*inner) else { continue };
        let parent = read.parent_id.as_deref().and_then(|parent| by_id.get(parent));
        // An exchange that begins a path has its own id for the path's.
        let own = read.path_id == read.id || read.path_id.is_empty();
        if let Some(outer) = parent.or_else(|| by_path.get(read.path_id.as_str()).filter(|_| !own)) {
            joined.insert(*inner, (*outer, Join::HopHeader));
        }
    }
    joined
}

/// What the ids of traces and requests join for sure, whatever the clocks say: one outer request has the id, and one inner
/// request alone.
pub(super) fn join_by_ids(recordings: &Recordings, outers: &[usize], inners: &[usize], can_compare: bool) -> Joined {
    let owners = |numbers: &[usize]| {
        let mut owners: HashMap<Vec<u8>, Option<usize>> = HashMap::new();
        for number in numbers {
            let Some(marks) = recordings.record(*number).and_then(|read| marks_of(read, can_compare)) else { continue };
            for id in marks.traces.into_iter().chain(marks.ids) {
                // Whom an id that two have belongs to can't be said.
                owners.entry(id).and_modify(|owner| *owner = None).or_insert(Some(*number));
            }
        }
        owners
    };
    let (outers, inners) = (owners(outers), owners(inners));
    let owned =
        inners.into_iter().filter_map(|(id, inner)| Some((inner?, (outers.get(&id).copied()??, Join::RequestId))));
    owned.collect()
}

/// The most records that are compared with each other where ids don't tell.
const NEARBY: usize = 200;

pub(super) fn join_by_marks(
    recordings: &Recordings,
    (outers, inners): (&[usize], &[usize]),
    can_compare: bool,
    ahead: SignedDuration,
    joined: &mut Joined,
) {
    let taken: Vec<usize> = joined.values().map(|(outer, _)| *outer).collect();
    let free_outers: Vec<usize> = outers.iter().copied().filter(|outer| !taken.contains(outer)).collect();
    let free_inners: Vec<usize> = inners.iter().copied().filter(|inner| !joined.contains_key(inner)).collect();
    let marks = |numbers: &[usize]| -> Vec<_> {
        let mut marks: Vec<_> =
            numbers.iter().filter_map(|at| Some((*at, marks_of(recordings.record(*at)?, can_compare)?))).collect();
        marks.sort_by_key(|(_, marks)| marks.time);
        marks
    };
    let (outer_marks, inner_marks) = (marks(&free_outers), marks(&free_inners));
    // What is far apart in time can't belong together, so a stretch at a time is enough.
    for inner in inner_marks.chunks(NEARBY / 2) {
        let (Some((_, first)), Some((_, last))) = (inner.first(), inner.last()) else { continue };
        let window = SignedDuration::from_secs(60);
        let near: Vec<_> = outer_marks
            .iter()
            .filter(|(_, marks)| {
                let time = marks.time + ahead;
                time + window >= first.time && time <= last.time + window
            })
            .take(NEARBY * 10)
            .collect();
        let outers: Vec<_> = near.iter().map(|(_, marks)| marks).collect();
        let inners: Vec<_> = inner.iter().map(|(_, marks)| marks).collect();
        for ((at, _), found) in inner.iter().zip(match_up(&outers, &inners, ahead)) {
            if let Some((outer, join)) = found
                && let Some((outer, _)) = near.get(outer)
            {
                joined.insert(*at, (*outer, join));
            }
        }
    }
}
