//! Cuts parts out of an answer on the wire, and puts others in.

use std::ops::Range;

/// One element below the root.
#[derive(Debug, Clone)]
pub struct Element {
    /// The names from below the root down to it, with `/` between.
    pub path: String,
    pub whole: Range<usize>,
    pub inner: Range<usize>,
}

/// Every element below the root, in the order of their beginnings.
pub fn elements(xml: &str) -> Vec<Element> {
    let (mut all, mut open): (Vec<Element>, Vec<(String, Range<usize>)>) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(start) = xml[at..].find('<').map(|n| n + at) {
        let end = start + xml[start..].find('>').unwrap() + 1;
        at = end;
        let tag = &xml[start + 1..end - 1];
        if tag.starts_with(['?', '!']) {
            continue;
        }
        let path = || open.iter().skip(1).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("/");
        if tag.starts_with('/') {
            let path = path();
            let (_, begin) = open.pop().unwrap();
            all.push(Element { path, whole: begin.start..end, inner: begin.end..start });
        } else if let Some(name) = tag.strip_suffix('/') {
            let path = format!("{}/{}", path(), name.trim());
            all.push(Element { path: path.trim_start_matches('/').into(), whole: start..end, inner: end..end });
        } else {
            let name = tag.split_whitespace().next().unwrap();
            open.push((name.into(), start..end));
        }
    }
    all.retain(|e| !e.path.is_empty());
    all.sort_by_key(|e| e.whole.start);
    all
}
/// With other text in place of these ranges. What lies in a range that comes before it is gone with that.
pub fn with(xml: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let (mut out, mut at) = (String::new(), 0);
    for (range, text) in edits {
        if range.start >= at {
            out.push_str(&xml[at..range.start]);
            out.push_str(&text);
            at = range.end;
        }
    }
    out.push_str(&xml[at..]);
    out
}
/// Without the elements that are picked.
pub fn without(xml: &str, picked: impl Fn(&Element) -> bool) -> String {
    with(xml, elements(xml).into_iter().filter(picked).map(|e| (e.whole, String::new())).collect())
}

#[test]
fn elements_are_found_and_cut() {
    let xml = "<?xml version=\"1.0\"?><R xmlns=\"x\"><a><i>1</i><i/></a><b/></R>";
    let found: Vec<_> = elements(xml).into_iter().map(|e| (e.path, xml[e.inner].to_owned())).collect();
    assert_eq!(found, [("a", "<i>1</i><i/>"), ("a/i", "1"), ("a/i", ""), ("b", "")].map(|(p, t)| (p.into(), t.into())));
    assert_eq!(without(xml, |e| e.path == "a/i"), "<?xml version=\"1.0\"?><R xmlns=\"x\"><a></a><b/></R>");
    assert_eq!(without(xml, |e| e.path.starts_with('a')), "<?xml version=\"1.0\"?><R xmlns=\"x\"><b/></R>");
}
