//! Breaks text into lines between words.
use crate::format::escape::width as columns_of;

/// Words broken into lines of at most `width` columns; a word that is longer is cut.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let mut rest = word;
        let mut wide = columns_of(rest);
        if used > 0 && used + 1 + wide > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while wide > width {
            let mut cut = 0;
            let mut room = width;
            for (at, c) in rest.char_indices() {
                let columns = columns_of(c.encode_utf8(&mut [0; 4]));
                if columns > room {
                    break;
                }
                room -= columns;
                cut = at + c.len_utf8();
            }
            if cut == 0 {
                break;
            }
            lines.push(rest[..cut].to_owned());
            rest = &rest[cut..];
            wide = columns_of(rest);
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(rest);
        used += wide;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn words_stay_whole_while_they_fit() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("日本語日本語", 5), ["日本", "語日", "本語"]);
        assert_eq!(wrap("日", 1), ["日"]);
    }
}
