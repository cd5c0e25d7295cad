/* The committee's duty: sign cohorts, answer with sums of key shares. Done while training runs, and by an authority
 * that trains nothing. */
#include "client/run.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "client/tally.h"
#include "round/journal.h"
#include "round/message.h"

#include <string.h>

typedef struct duty {
    client_run *run;
    client_link *link;
    client_seat seat;
    msfl_member *member;
    uint64_t seen;
    uint32_t failures;
    uint8_t told[MSFL_HASH_BYTES]; /* of the last refusal that was told: a repeated request is no news */
} duty;

static msfl_status replay(void *ctx, uint64_t sequence, const uint8_t *record, size_t length) {
    (void)sequence;
    return msfl_member_replay(ctx, record, length);
}

static void stand_up(duty *d) {
    msfl_member_free(d->member);
    d->member = NULL;
    client_seat_clear(&d->seat);
}

/* The machine for the task under the newest roster, as its journal left it. */
static msfl_status sit_down(duty *d) {
    client_hub *hub = d->run->hub;
    stand_up(d);
    msfl_status status = client_seat_take(hub, d->run->hash, &d->seat);
    if (status != MSFL_OK || !d->seat.is_member) return status;
    status = client_policy_duty(&hub->policy, &d->run->spec, d->seat.info);
    if (status != MSFL_OK) return status;
    msfl_member_config config = {.roster = d->seat.roster,
                                 .secret = hub->secret,
                                 .party = d->seat.party,
                                 .min_cohort = hub->policy.min_cohort,
                                 .security_bits = hub->policy.security_bits};
    if (d->run->spec.min_cohort > config.min_cohort) config.min_cohort = d->run->spec.min_cohort;
    memcpy(config.task, d->seat.task, MSFL_HASH_BYTES);
    status = msfl_member_new(&config, &d->member);
    if (status == MSFL_OK) status = store_replay(hub->store, d->seat.task, "member", replay, d->member);
    if (status != MSFL_OK) stand_up(d);
    return status;
}

/* What a proposal or a request to release is about: the machine checks who signed it. */
static msfl_status subject(const msfl_frame *frame, msfl_announcement *out) {
    msfl_reader body = frame->body;
    const uint8_t *bytes = msfl_get_bytes(&body, MSFL_ANNOUNCEMENT_BYTES);
    return bytes == NULL ? msfl_fail(MSFL_ERR_FORMAT, "proposal: cut off") : msfl_announcement_read(bytes, out);
}

static bool is_update(const duty *d, const msfl_announcement *a) {
    return a->info.n_values == d->run->shape->update_slots;
}

/* That an answer is given, and on which model: one step, so that no two jobs get one. */
static msfl_status journal(duty *d, const msfl_announcement *about, const msfl_effect *e) {
    client_hub *hub = d->run->hub;
    msfl_journal_kind kind;
    msfl_reader body;
    msfl_status status = msfl_journal_read(e->bytes, e->length, d->seat.task, &kind, &body);
    if (status != MSFL_OK) return status;
    if (kind != MSFL_JOURNAL_ANSWERED) {
        return store_append(hub->store, d->seat.task, "member", e->bytes, e->length, NULL);
    }
    status = store_begin(hub->store);
    if (status != MSFL_OK) return status;
    const client_subject s = {d->run->hash, about->info.model, about->info.layout};
    if (!hub->policy.second_sums) status = client_released_check(hub->store, &s, is_update(d, about));
    if (status == MSFL_OK) status = client_released_add(hub->store, &s, is_update(d, about));
    if (status == MSFL_OK) status = store_append(hub->store, d->seat.task, "member", e->bytes, e->length, NULL);
    if (status == MSFL_OK) return store_commit(hub->store);
    store_rollback(hub->store);
    return status;
}

/* Journal, then collect what is to be sent. When the journal fails, the machine knows more than the disk: it goes. */
static msfl_status carry_out(duty *d, const msfl_announcement *about, const msfl_effects *effects,
                             msfl_buffer *frames) {
    for (size_t i = 0; i < effects->n; i++) {
        const msfl_effect *e = &effects->items[i];
        if (e->kind == MSFL_EFFECT_JOURNAL) {
            msfl_status status = journal(d, about, e);
            if (status != MSFL_OK) return status;
        }
        if (e->kind == MSFL_EFFECT_SEND && e->to == MSFL_COORDINATOR) client_frame_put(frames, e->bytes, e->length);
    }
    return frames->status;
}

static void refuse(duty *d, const uint8_t *message, size_t length) {
    if (client_is_told(d->told, message, length)) return;
    client_say(d->run, MSFL_EVENT_WARNING, "committee: refused: %s", msfl_error_message());
}

static msfl_status hear(duty *d, const uint8_t *message, size_t length, msfl_buffer *frames) {
    msfl_frame frame;
    if (msfl_frame_read(message, length, &frame) != MSFL_OK) return MSFL_OK; /* not for us to repair */
    if (frame.kind != MSFL_MSG_PROPOSE && frame.kind != MSFL_MSG_RELEASE) return MSFL_OK;
    const uint8_t *task = client_message_task(message, length);
    if ((d->member == NULL || task == NULL || memcmp(task, d->seat.task, MSFL_HASH_BYTES) != 0) &&
        client_hub_epoch(d->run->hub) != d->seat.epoch) {
        msfl_status status = sit_down(d);
        if (status != MSFL_OK) return status;
    }
    if (d->member == NULL) return MSFL_OK;
    msfl_effects effects = {0};
    msfl_announcement about = {0};
    client_hub *hub = d->run->hub;
    msfl_status status = subject(&frame, &about);
    if (status == MSFL_OK && !hub->policy.second_sums) {
        const client_subject s = {d->run->hash, about.info.model, about.info.layout};
        status = client_released_check(hub->store, &s, is_update(d, &about));
    }
    if (status == MSFL_OK) status = msfl_member_receive(d->member, MSFL_COORDINATOR, message, length, &effects);
    if (status == MSFL_OK) {
        status = carry_out(d, &about, &effects, frames);
        if (status != MSFL_OK) stand_up(d);
    } else if (status != MSFL_ERR_MEMORY) {
        refuse(d, message, length);
        status = MSFL_OK;
    }
    msfl_effects_clear(&effects);
    return status;
}

static msfl_status step(duty *d) {
    msfl_buffer frames = {0}, mine = {0}, answer = {0};
    msfl_status status = MSFL_OK;
    if (d->link == NULL) status = client_hub_link(d->run->hub, &d->run->over, 4, &d->link);
    if (status == MSFL_OK) {
        status = client_link_inbox(d->link, d->run->id, &d->seen, d->seen == 0 ? 0 : CLIENT_WAIT_S, &frames);
    }
    msfl_reader r = msfl_reader_init(frames.bytes, frames.length);
    const uint8_t *message;
    size_t length;
    bool failed = false;
    while (status == MSFL_OK && client_frame_next(&r, &message, &length, &failed))
        status = hear(d, message, length, &mine);
    if (status == MSFL_OK && failed) status = msfl_fail(MSFL_ERR_FORMAT, "the inbox holds no frames");
    if (status == MSFL_OK && mine.length > 0) {
        status = client_link_post(d->link, d->run->id, &mine, &answer);
        if (status == MSFL_OK) {
            client_say(d->run, MSFL_EVENT_INFO, "committee: answered, %zu bytes", mine.length);
        } else if (status != MSFL_ERR_IO && status != MSFL_ERR_CANCELLED && status != MSFL_ERR_MEMORY) {
            /* Others were faster and the round is over, say. What is asked next is heard when something changes. */
            client_say(d->run, MSFL_EVENT_INFO, "committee: the answer was not wanted: %s", msfl_error_message());
            status = MSFL_OK;
        }
    }
    if (status != MSFL_OK) d->seen = 0; /* hear everything again */
    msfl_buffer_clear(&frames);
    msfl_buffer_clear(&mine);
    msfl_buffer_clear(&answer);
    return status;
}

void client_duty(client_run *run) {
    duty d = {.run = run};
    if (strcmp(run->spec.scheme, "packed") != 0) return; /* nothing is sealed for anybody */
    msfl_status status = sit_down(&d);
    if (status == MSFL_OK && d.member != NULL) {
        client_say(run, MSFL_EVENT_INFO, "committee: member %u of %u, %u are needed", d.seat.party, d.seat.info->k,
                   d.seat.info->t);
    }
    if (status == MSFL_ERR_POLICY) {
        client_say(run, MSFL_EVENT_WARNING, "committee: this job is none to sign for: %s", msfl_error_message());
    }
    while (!msfl_is_set(&run->over)) {
        status = step(&d);
        if (status == MSFL_ERR_CANCELLED) break;
        if (status == MSFL_OK) {
            d.failures = 0;
            continue;
        }
        if (client_run_wait(run, &d.failures) != MSFL_OK) break;
        client_link_free(d.link);
        d.link = NULL;
        if (d.member == NULL) (void)!sit_down(&d);
    }
    stand_up(&d);
    client_link_free(d.link);
}
