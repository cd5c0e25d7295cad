/* Records that were missed, and the sums that they are about. */
#include "base/error.h"
#include "base/mem.h"
#include "client/sealed.h"
#include "medsecurefl/transcript.h"
#include "round/message.h"

#include <inttypes.h>
#include <string.h>

/* A delivered round that this hospital did not open while it was open. */
static msfl_status open_missed(client_part_state *p, uint64_t number) {
    msfl_buffer frames = {0};
    uint8_t result[MSFL_HASH_BYTES];
    msfl_status status = client_link_delivery(p->link, p->run->id, number, &frames);
    msfl_reader r = msfl_reader_init(frames.bytes, frames.length);
    const uint8_t *message;
    size_t length;
    bool failed = false;
    while (status == MSFL_OK && client_frame_next(&r, &message, &length, &failed)) {
        msfl_frame frame;
        msfl_effects effects = {0};
        if (msfl_frame_read(message, length, &frame) != MSFL_OK || frame.kind != MSFL_MSG_DELIVER) continue;
        status = msfl_site_receive(p->site, 0, message, length, &effects);
        if (status == MSFL_OK) status = client_part_carry_out(p, &effects, NULL);
        msfl_effects_clear(&effects);
    }
    msfl_buffer_clear(&frames);
    const msfl_site_phase phase = msfl_site_phase_of(p->site);
    if (status == MSFL_OK && (phase == MSFL_SITE_DELIVERED || phase == MSFL_SITE_OPENED))
        status = client_sealed_open(p);
    if (status == MSFL_OK && msfl_site_result(p->site, result) != number) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "round %" PRIu64 " was missed and cannot be opened any more", number);
    }
    return status;
}

/* One record after the last that is kept. */
static msfl_status take_record(client_part_state *p, const uint8_t *bytes, size_t length) {
    msfl_transcript t;
    const bool ours = msfl_transcript_verify(bytes, length, p->seat.roster, NULL, &t) == MSFL_OK &&
                      memcmp(t.announcement.info.task, p->seat.task, MSFL_HASH_BYTES) == 0;
    msfl_status status = MSFL_OK;
    if (ours) {
        const uint64_t number = t.announcement.info.number;
        msfl_effects effects = {0};
        msfl_buffer message = {0};
        static const uint8_t none[MSFL_HASH_BYTES];
        msfl_frame_put(&message, MSFL_MSG_RECORD, MSFL_COORDINATOR, none);
        msfl_put_bytes(&message, bytes, length);
        status = message.status;
        if (status == MSFL_OK) status = msfl_site_receive(p->site, 0, message.bytes, message.length, &effects);
        if (status == MSFL_ERR_POLICY && t.outcome == MSFL_OUTCOME_OPENED) { /* its sum comes first */
            status = open_missed(p, number);
            if (status == MSFL_OK) status = msfl_site_receive(p->site, 0, message.bytes, message.length, &effects);
        }
        if (status == MSFL_OK) status = client_part_carry_out(p, &effects, NULL);
        if (status == MSFL_OK) status = client_sealed_settle(p);
        msfl_effects_clear(&effects);
        msfl_buffer_clear(&message);
        if (status != MSFL_OK) return status;
    } else {
        client_part_catch_rosters(p); /* of an earlier roster: kept, and no more can be done with it */
    }
    return msfl_audit_add_record(p->audit, bytes, length);
}

msfl_status client_sealed_catch_up(client_part_state *p) {
    struct client_sealed *s = p->sealed;
    uint8_t head[MSFL_HASH_BYTES];
    uint32_t n = 0;
    msfl_status status = p->link == NULL || p->site == NULL ? MSFL_ERR_MISSING : MSFL_OK;
    s->catching = true;
    while (status == MSFL_OK) {
        char *bytes;
        size_t length;
        status = client_link_record(p->link, p->run->id, msfl_audit_writer_head(p->audit, head) + 1, &bytes, &length);
        if (status != MSFL_OK) break;
        status = take_record(p, (const uint8_t *)bytes, length);
        msfl_free(bytes);
        if (status == MSFL_ERR_MISSING) status = msfl_fail_in(MSFL_ERR_MISMATCH, "what was missed is not kept");
        n += status == MSFL_OK;
    }
    s->catching = false;
    if (n > 0) client_say(p->run, MSFL_EVENT_INFO, "caught up with %" PRIu32 " records", n);
    if (status == MSFL_ERR_MISSING) {
        s->caught_up = true;
        return MSFL_OK;
    }
    return status;
}

msfl_status client_sealed_begin(client_part_state *p) {
    const msfl_status status = client_sealed_catch_up(p);
    if (status == MSFL_OK || client_is_passing(status)) return status;
    client_say(p->run, MSFL_EVENT_WARNING, "this hospital cannot follow the job: %s", msfl_error_message());
    client_reporter_say(p->run->hub->reporter, p->run->id, 0, "failed", 0, msfl_status_text(status));
    p->sealed->caught_up = true;
    return MSFL_OK;
}
