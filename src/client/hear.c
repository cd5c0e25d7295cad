/* What a hospital hears of a job: held against what it knows, kept, handed to the round's machine. */
#include "base/error.h"
#include "base/mem.h"
#include "client/sealed.h"
#include "round/coord.h"
#include "round/message.h"

#include <string.h>

static void refuse(client_part_state *p, const uint8_t *message, size_t length) {
    if (client_is_told(p->told, message, length)) return;
    client_say(p->run, MSFL_EVENT_WARNING, "%s", msfl_error_message());
}

/* Where the coordinator wants an upload to go on. The machine would answer with a window of chunks; here they go as one
 * body, so the place is enough. */
static bool is_wanted(client_part_state *p, msfl_frame *frame) {
    uint8_t id[MSFL_HASH_BYTES];
    const msfl_announcement *a = msfl_site_round(p->site);
    msfl_reader body = frame->body;
    const uint64_t next = msfl_get64(&body);
    if (frame->kind != MSFL_MSG_NEXT || msfl_get32(&body) != MSFL_NEXT_WANTED) return false;
    if (a == NULL) return true;
    msfl_announcement_id(a, id);
    if (memcmp(id, frame->round_id, sizeof id) == 0) p->wanted = next;
    return true;
}

void client_part_catch_rosters(client_part_state *p) {
    enum { BACK = 64 };
    for (uint32_t epoch = p->seat.epoch; epoch-- > 1 && p->seat.epoch - epoch <= BACK;) {
        char *text;
        size_t length;
        msfl_status status = client_link_job_roster(p->link, p->run->id, epoch, &text, &length);
        if (status == MSFL_ERR_MISSING) continue;
        if (status == MSFL_OK) status = msfl_audit_add_roster(p->audit, epoch, text, length);
        msfl_free(text);
        if (status != MSFL_OK) return;
    }
}

/* Records of rounds that went on without this hospital, so that its own chain has no gap: each is as signed as if it
 * had heard it itself. What cannot be had now is asked for again at the next round; a coordinator that has ever more of
 * them holds nothing up. */
static void catch_up(client_part_state *p) {
    enum { AT_ONCE = 1024 };
    uint8_t head[MSFL_HASH_BYTES];
    /* Where sums are delivered a record is no use without the sum: sealed_missed.c takes them in order. */
    msfl_status status = p->link == NULL || p->audit == NULL || p->sealed != NULL ? MSFL_ERR_MISSING : MSFL_OK;
    uint32_t n = 0;
    while (status == MSFL_OK && n < AT_ONCE) {
        char *bytes;
        size_t length;
        status = client_link_record(p->link, p->run->id, msfl_audit_writer_head(p->audit, head) + 1, &bytes, &length);
        if (status == MSFL_OK) status = msfl_audit_add_record(p->audit, (const uint8_t *)bytes, length);
        if (status == MSFL_OK) n++;
        msfl_free(bytes);
    }
    if (n > 0) client_part_catch_rosters(p);
    if (status != MSFL_OK && status != MSFL_ERR_MISSING && status != MSFL_ERR_CANCELLED) {
        client_say(p->run, MSFL_EVENT_WARNING, "audit: records of earlier rounds: %s", msfl_error_message());
    }
}

static bool is_new(const client_part_state *p, const uint8_t *message, size_t length) {
    return p->announce.length != length || memcmp(p->announce.bytes, message, length) != 0;
}

/* What can be shown later. Full disks and the like are told and end nothing: the round is safe without. */
static void keep(client_part_state *p, const msfl_frame *frame, const uint8_t *message, size_t length, bool changed) {
    msfl_status status = MSFL_OK;
    if (frame->kind == MSFL_MSG_ANNOUNCE && msfl_site_phase_of(p->site) == MSFL_SITE_OFFERED &&
        is_new(p, message, length)) {
        catch_up(p);
    }
    if (frame->kind == MSFL_MSG_ANNOUNCE && msfl_site_phase_of(p->site) != MSFL_SITE_IDLE) {
        p->announce.length = 0;
        msfl_put_bytes(&p->announce, message, length);
        status = p->announce.status;
    }
    if (frame->kind == MSFL_MSG_NEXT && changed) {
        status = msfl_audit_add_receipt(p->audit, p->seat.roster, message, length);
    }
    if (frame->kind == MSFL_MSG_RECORD && changed) { /* only what the machine took for the next of its history */
        const size_t n = msfl_reader_left(&frame->body);
        catch_up(p);
        status = msfl_audit_add_record(p->audit, frame->body.at, n);
        client_say(p->run, MSFL_EVENT_ROUND_DONE, "round over, its record is kept");
    }
    if (status != MSFL_OK) client_say(p->run, MSFL_EVENT_WARNING, "audit: %s", msfl_error_message());
}

static msfl_status hear(client_part_state *p, const uint8_t *message, size_t length) {
    msfl_frame frame;
    if (msfl_frame_read(message, length, &frame) != MSFL_OK) {
        refuse(p, message, length);
        return MSFL_OK;
    }
    const bool delivered = p->sealed != NULL && frame.kind == MSFL_MSG_DELIVER;
    if (frame.kind != MSFL_MSG_ANNOUNCE && frame.kind != MSFL_MSG_NEXT && frame.kind != MSFL_MSG_RECORD && !delivered) {
        return MSFL_OK;
    }
    const uint8_t *task = client_message_task(message, length);
    if (task != NULL && memcmp(task, p->seat.task, MSFL_HASH_BYTES) != 0) {
        if (client_hub_epoch(p->run->hub) == p->seat.epoch) {
            (void)msfl_fail(MSFL_ERR_MISMATCH, "a round of another task than this job under this roster");
            refuse(p, message, length);
            return MSFL_OK;
        }
        /* What was opened under the old roster is settled under it. */
        if (p->sealed != NULL && client_sealed_catch_up(p) != MSFL_OK) refuse(p, message, length);
        msfl_status status = client_part_sit_down(p);
        if (status != MSFL_OK) return status;
    }
    if (is_wanted(p, &frame)) return MSFL_OK;
    msfl_effects effects = {0};
    msfl_buffer frames = {0};
    /* A deadline is on the coordinator's clock, and the coordinator says itself when a round is over: a hospital whose
     * own clock is wrong by hours takes part all the same. */
    msfl_status status = msfl_site_receive(p->site, 0, message, length, &effects);
    if (status == MSFL_ERR_POLICY && p->sealed != NULL && p->link != NULL) { /* was something missed? */
        status = client_sealed_catch_up(p);
        if (status == MSFL_OK && p->broken) return MSFL_OK;
        if (status == MSFL_OK) status = msfl_site_receive(p->site, 0, message, length, &effects);
        if (status == MSFL_ERR_IO || status == MSFL_ERR_CANCELLED) return status;
    }
    if (status == MSFL_OK) {
        const bool changed = effects.n > 0;
        status = client_part_carry_out(p, &effects, delivered ? &frames : NULL);
        if (status == MSFL_OK) keep(p, &frame, message, length, changed);
        if (status == MSFL_OK && delivered) status = client_sealed_send(p, &frames);
        if (status == MSFL_OK && p->sealed != NULL && frame.kind == MSFL_MSG_RECORD) status = client_sealed_settle(p);
    } else if (status != MSFL_ERR_MEMORY) {
        refuse(p, message, length);
        status = MSFL_OK;
    }
    msfl_effects_clear(&effects);
    msfl_buffer_clear(&frames);
    return status;
}

msfl_status client_part_hear(client_part_state *p, const msfl_buffer *frames) {
    msfl_reader r = msfl_reader_init(frames->bytes, frames->length);
    const uint8_t *message;
    size_t length;
    bool failed = false;
    msfl_status status = MSFL_OK;
    while (status == MSFL_OK && client_frame_next(&r, &message, &length, &failed))
        status = hear(p, message, length);
    return status == MSFL_OK && failed ? msfl_fail(MSFL_ERR_FORMAT, "the coordinator's answer holds no frames")
                                       : status;
}

msfl_status client_part_listen(client_part_state *p, uint32_t wait_s) {
    msfl_buffer frames;
    msfl_status status = client_link_inbox(p->link, p->run->id, &p->seen, wait_s, &frames);
    if (status == MSFL_OK) status = client_part_hear(p, &frames);
    msfl_buffer_clear(&frames);
    return status;
}

msfl_status client_part_ask(client_part_state *p) {
    p->wanted = CLIENT_NOT_WANTED;
    return client_part_listen(p, 0);
}
