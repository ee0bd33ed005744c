//! Server-sent events out of bytes that come in pieces.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its place in the journal, if it has one.
    pub(super) id: Option<u64>,
    /// Its kind; empty for journal entries.
    pub(super) event: String,
    /// Its JSON.
    pub(super) data: String,
}

/// Puts pieces together.
#[derive(Debug, Default)]
pub(super) struct Frames {
    rest: Vec<u8>,
}

impl Frames {
    /// The events that are complete with this piece.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.rest.extend_from_slice(bytes);
        let mut frames = vec![];
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            let frame = read(&String::from_utf8_lossy(&block));
            // Comments and settings come without data.
            if !frame.data.is_empty() {
                frames.push(frame);
            }
        }
        frames
    }
}

fn read(block: &str) -> Frame {
    let mut frame = Frame::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => frame.id = value.parse().ok(),
            "event" => value.clone_into(&mut frame.event),
            "data" => {
                if !frame.data.is_empty() {
                    frame.data.push('\n');
                }
                frame.data.push_str(value);
            }
            _ => {}
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_whole_however_they_are_cut() {
        let text = "retry: 2000\n\nid: 7\ndata: {\"ä\":1}\n\n: still here\n\nevent: progress\ndata: a\ndata: b\n\n";
        let entry = Frame { id: Some(7), event: String::new(), data: "{\"ä\":1}".to_owned() };
        let progress = Frame { id: None, event: "progress".to_owned(), data: "a\nb".to_owned() };
        for size in 1..text.len() {
            let mut frames = Frames::default();
            let found: Vec<Frame> = text.as_bytes().chunks(size).flat_map(|piece| frames.push(piece)).collect();
            assert_eq!(found, [entry.clone(), progress.clone()], "pieces of {size}");
        }
    }
}
