//! What lies beside the closed segments, held against them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use disk::{Disk, OpenMode};

use super::first_of;
use super::scan::scan;
use super::view::View;
use crate::keys::{self, Run};
use crate::log::segments;
use crate::merkle::{Hash, Tree, leaf_hash};
use crate::summary::{self, Summary};

/// The roots that summaries and keys say, each with the number of its records.
pub(super) fn roots(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<(u64, Hash)>> {
    let mut roots = Vec::new();
    for path in summaries(disk, dir)? {
        let Some(first) = first_of(&path) else { continue };
        roots.extend(Summary::read(disk, dir, first)?.map(|summary| (summary.end, summary.tree.root())));
    }
    for (_, _, path) in keys::paths(disk, dir)? {
        roots.extend(Run::open(disk, &path)?.map(|run| (run.span.end, run.span.mark)));
    }
    Ok(roots)
}

/// The files that do not say what the segments of the view say.
pub(super) fn wrong(view: &View<'_>, dir: &Path, origin: &str) -> io::Result<Vec<PathBuf>> {
    let live = view.live;
    let mut wrong = Vec::new();
    let mut runs = Vec::new();
    for (_, _, path) in keys::paths(live, dir)? {
        match Run::open(live, &path)? {
            Some(run) => runs.push((run, 0)),
            None => wrong.push(path),
        }
    }
    let (mut tree, mut roots, mut closed) = (Tree::default(), BTreeMap::new(), Vec::new());
    let paths = segments(view, dir)?;
    for (number, path) in paths.iter().enumerate() {
        let Some(first) = first_of(path) else { continue };
        let file = view.open(path, OpenMode::Read)?;
        let (mut ends, mut misses) = (Vec::new(), Vec::new());
        scan(file.as_ref(), first, origin, &mut |position, group| {
            ends.push(group.end);
            tree.push(leaf_hash(&group.entry));
            for (run, count) in runs.iter_mut().filter(|(run, _)| covers(run, position)) {
                for key in &group.body.keys {
                    *count += 1;
                    if !matches!(run.find(&key.0), Ok(Some(holder)) if holder == position) {
                        misses.push(run.path.clone());
                    }
                }
            }
            Ok(())
        })?;
        wrong.append(&mut misses);
        roots.insert(tree.size(), tree.root());
        if number + 1 < paths.len() {
            closed.push(first);
            let path = summary::path(dir, first);
            if live.list(dir)?.contains(&path)
                && !is_of(live, dir, first, &tree, file.length()?, &ends).unwrap_or(false)
            {
                wrong.push(path);
            }
        }
    }
    let not_so =
        |(run, count): &&(Run, u64)| *count != run.keys() || roots.get(&run.span.end) != Some(&run.span.mark);
    wrong.extend(runs.iter().filter(not_so).map(|(run, _)| run.path.clone()));
    let of_none = |path: &PathBuf| first_of(path).is_none_or(|first| !closed.contains(&first));
    wrong.extend(summaries(live, dir)?.into_iter().filter(of_none));
    wrong.sort();
    wrong.dedup();
    Ok(wrong)
}

fn covers(run: &Run, position: u64) -> bool {
    (run.span.first..run.span.end).contains(&position)
}

/// Whether the summary beside a segment says this tree, this length, and where each record begins: behind the one before it.
fn is_of(
    disk: &dyn Disk,
    dir: &Path,
    first: u64,
    tree: &Tree,
    segment_bytes: u64,
    ends: &[u64],
) -> io::Result<bool> {
    let Some(summary) = Summary::read(disk, dir, first)? else { return Ok(false) };
    let of = (summary.end, summary.tree.root(), summary.segment_bytes);
    if of != (tree.size(), tree.root(), segment_bytes) {
        return Ok(false);
    }
    let file = disk.open(&summary::path(dir, first), OpenMode::Read)?;
    for (number, end) in (1..).zip(ends).take(ends.len().saturating_sub(1)) {
        if summary::offset(file.as_ref(), number)? != *end {
            return Ok(false);
        }
    }
    Ok(true)
}

fn summaries(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = disk.list(dir)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sum"));
    Ok(paths)
}
