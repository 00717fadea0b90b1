//! Kapso's buffering: received messages of a conversation gather until it falls silent or the batch is full.

use std::{collections::HashMap, sync::Arc};

use super::{Parcel, dispatch};
use crate::{
    dialect::{self, BatchInfo, Dialect},
    story::Event,
    world::World,
};

/// What each conversation has gathered.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    of: HashMap<String, Buffer>,
}

#[derive(Debug, Default)]
struct Buffer {
    events: Vec<Event>,
    /// Messages of this conversation that have left.
    left: u64,
    /// Rises with each message, so that an older one's timer knows that it is not the last.
    generation: u64,
    duplicates: u32,
}

impl Buffers {
    /// Adds an event: how many have gathered, and its generation.
    fn push(&mut self, conversation: &str, event: Event, duplicates: u32) -> (usize, u64) {
        let buffer = self.of.entry(conversation.to_owned()).or_default();
        buffer.events.push(event);
        buffer.generation += 1;
        buffer.duplicates = buffer.duplicates.max(duplicates);
        (buffer.events.len(), buffer.generation)
    }

    /// Takes what has gathered, if nothing came after `generation`.
    fn take(&mut self, conversation: &str, generation: u64) -> Option<(Vec<Event>, u64, u32)> {
        let buffer = self.of.get_mut(conversation).filter(|buffer| buffer.generation == generation)?;
        let events = std::mem::take(&mut buffer.events);
        let duplicates = std::mem::take(&mut buffer.duplicates);
        let first = buffer.left + 1;
        buffer.left += events.len() as u64;
        (!events.is_empty()).then_some((events, first, duplicates))
    }
}

/// Puts a received message into its conversation's buffer.
pub(super) fn push(world: &Arc<World>, event: &Event, single: Parcel) {
    let Some(conversation) = single.conversation_id else {
        return;
    };
    let (size, generation) = world.buffers().push(&conversation, event.clone(), single.duplicates);
    let buffering = world.subscription().buffering;
    if size >= buffering.max_size {
        flush(world, &conversation, generation);
        return;
    }
    let later = Arc::clone(world);
    world.spawn(async move {
        tokio::time::sleep(later.scale.of(buffering.window)).await;
        flush(&later, &conversation, generation);
    });
}

fn flush(world: &Arc<World>, conversation: &str, generation: u64) {
    let Some((events, first_sequence, duplicates)) = world.buffers().take(conversation, generation) else {
        return;
    };
    let info = BatchInfo {
        window_ms: u64::try_from(world.subscription().buffering.window.as_millis()).unwrap_or(u64::MAX),
        first_sequence,
        last_sequence: first_sequence + events.len() as u64 - 1,
    };
    let singles = events.iter().filter_map(|event| Parcel::of(world, Dialect::V2Batch, event)).collect();
    let batch = Parcel {
        lane: Some(conversation.to_owned()),
        conversation_id: Some(conversation.to_owned()),
        message_ids: events.iter().flat_map(Event::message_ids).collect(),
        singles,
        duplicates,
        ..Parcel::raw(dialect::batch(&world.config.line, &events, &info))
    };
    dispatch(world, batch);
}
