//! Which number, hence table and mark, a line gets.

use std::collections::{BTreeMap, BTreeSet};

/// Gives each line its number: the one that is written, else the one that the name had before,
/// else the lowest that is free.
///
/// A line that keeps its number keeps its mark, and so its running connections. `None` where more
/// than `highest` lines ask for one.
pub fn numbers<'a>(
    lines: impl IntoIterator<Item = (&'a str, Option<u8>)> + Clone,
    previous: &BTreeMap<String, u8>,
    highest: u8,
) -> Option<Vec<u8>> {
    let mut taken: BTreeSet<u8> = lines.clone().into_iter().filter_map(|(_, n)| n).collect();
    let mut kept = BTreeMap::new();
    for (name, number) in lines.clone() {
        let before = previous
            .get(name)
            .copied()
            .filter(|n| (1..=highest).contains(n));
        if let (None, Some(before)) = (number, before)
            && taken.insert(before)
        {
            kept.insert(name, before);
        }
    }
    lines
        .into_iter()
        .map(|(name, number)| {
            number.or_else(|| kept.get(name).copied()).or_else(|| {
                let free = (1..=highest).find(|n| !taken.contains(n))?;
                taken.insert(free);
                Some(free)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(names: &[(&str, u8)]) -> BTreeMap<String, u8> {
        names
            .iter()
            .map(|(name, number)| ((*name).to_owned(), *number))
            .collect()
    }

    #[test]
    fn new_lines_take_the_lowest_free() {
        let lines = [("a", None), ("b", Some(1)), ("c", None)];
        assert_eq!(numbers(lines, &known(&[]), 21), Some(vec![2, 1, 3]));
    }

    #[test]
    fn a_known_name_keeps_its_number_unless_another_claims_it() {
        let lines = [("new", None), ("b", None), ("a", None)];
        assert_eq!(
            numbers(lines, &known(&[("a", 1), ("b", 2)]), 21),
            Some(vec![3, 2, 1])
        );
        let lines = [("a", None), ("b", Some(1))];
        assert_eq!(numbers(lines, &known(&[("a", 1)]), 21), Some(vec![2, 1]));
    }

    #[test]
    fn there_are_only_so_many() {
        assert_eq!(numbers([("a", None), ("b", None)], &known(&[]), 1), None);
    }
}
