//! What somebody meant who mistyped a name.

/// The known name that is closest to `word`, if any is close.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = |name: &str| {
        // The right last part in the wrong table, or a table's own name, counts as one slip.
        let last_part = name.rsplit('.').next() == word.rsplit('.').next();
        let table = name.strip_prefix(word).is_some_and(|rest| rest.starts_with('.'));
        if last_part || table { 1 } else { distance(word, name) }
    };
    let (name, slips) = known.map(|name| (name, close(name))).min_by_key(|(_, slips)| *slips)?;
    (slips <= 1 + word.chars().count() / 4).then_some(name)
}

/// Characters to put in, take out, change or swap to get from one word to the other.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let change = rows[i][j] + usize::from(l != r);
            let mut least = change.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names() {
        let known = ["store", "server", "listen", "lock.wait", "lock.plan", "limits.queue"];
        for (word, expected) in [
            ("stroe", Some("store")),
            ("listn", Some("listen")),
            ("wait", Some("lock.wait")),
            ("limit.queue", Some("limits.queue")),
            ("limits", Some("limits.queue")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
    }

    #[test]
    fn distances() {
        for (left, right, slips) in
            [("", "", 0), ("a", "", 1), ("abc", "acb", 1), ("abc", "axc", 1), ("wait", "what", 2)]
        {
            assert_eq!(distance(left, right), slips, "{left} {right}");
        }
    }
}
