/* layer: round */
/* Any message to a machine in any phase: refused without effects, or taken; never anything worse. First byte: which
 * machine; second: what is signed again, so that the fuzzer gets past the signatures; whether the round is one that is
 * delivered to the hospitals; whether the site has a delivery already; whether the rest is a message, or changes to the
 * delivery (16 bits of place, 8 of what). */
#define HALL_PLAIN
#include "../unit/round/hall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hall halls[2];
static uint8_t *message;
static msfl_buffer delivery; /* to site 0 */

static void keep(hall *h, uint32_t from, uint32_t to, msfl_effect *e) {
    (void)h;
    if (from != MSFL_COORDINATOR || to != 0 || msfl_load32(e->bytes + 8) != MSFL_MSG_DELIVER) return;
    msfl_buffer_clear(&delivery);
    msfl_put_bytes(&delivery, e->bytes, e->length);
}

static void prepare(void) {
    hall *h = &halls[0];
    hall_make(h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    assert_int_equal(hall_open(h, 'a'), MSFL_OK);
    assert_int_equal(hall_tick(h, 20), MSFL_OK);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(hall_upload(h, i), MSFL_OK);
    assert_int_equal(hall_tick(h, 200), MSFL_OK);
    h = &halls[1];
    hall_make(h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    h->tamper = keep;
    hall_to_delivery(h, 'a', 3);
    assert_int_equal(hall_tick(h, 3000), MSFL_OK);
    message = malloc(1 << 20);
    assert_non_null(message);
}

/** Sign votes, answers' heads and the folded sum of a delivery again, as far as it goes; `r` is behind the cohort. */
static void sign_delivery(hall *h, msfl_reader *r, const uint8_t id[32], const uint8_t cohort[32]) {
    uint8_t digest[32];
    for (uint32_t n = msfl_get32(r) % 4; n > 0; n--) {
        uint8_t *vote = (uint8_t *)msfl_get_bytes(r, 68);
        if (vote != NULL) msfl_vote_sign(id, cohort, h->secret[msfl_load32(vote) % 3], vote + 4);
    }
    for (uint32_t n = msfl_get32(r) % 4; n > 0; n--) {
        uint8_t *answer = (uint8_t *)msfl_get_bytes(r, 4 + MSFL_SEALED_KEPT);
        if (answer == NULL) return;
        const msfl_answer_binding b = {id, cohort, msfl_load32(answer), 1024};
        memcpy(answer + 4, cohort, 32);
        msfl_sealed_digest(&b, answer + 4, digest);
        msfl_sign(h->secret[b.member % 3]->sign, digest, 32, answer + 4 + MSFL_SEALED_HEAD);
    }
    uint8_t *folded = (uint8_t *)msfl_get_bytes(r, 96);
    if (folded == NULL) return;
    msfl_delivery_digest(id, cohort, folded, digest);
    msfl_sign(h->coordinator_secret->sign, digest, 32, folded + 32);
}

/** Sign announcement and statements again where the message has them. */
static void sign_again(hall *h, uint8_t how, uint8_t *bytes, size_t length) {
    const size_t each = msfl_statement_bytes(3), head = MSFL_FRAME_BYTES + MSFL_ANNOUNCE_BODY;
    const uint32_t kind = msfl_load32(bytes + 8);
    uint8_t id[32];
    memcpy(id, bytes + 16, 32);
    if ((how & 1) != 0 && length >= head && (kind == 1 || kind == 5 || kind == 7 || kind == 10)) {
        msfl_announcement a;
        if (msfl_announcement_read(bytes + MSFL_FRAME_BYTES, &a) != MSFL_OK) return;
        msfl_announcement_sign(&a, h->coordinator_secret, bytes + MSFL_FRAME_BYTES);
        msfl_announcement_id(&a, id);
        memcpy(bytes + 16, id, 32);
    }
    size_t n = kind == 4 ? 1 : 0, at = MSFL_FRAME_BYTES;
    if (length >= head + 4 && (kind == 5 || kind == 7 || kind == 10)) {
        n = msfl_load32(bytes + head) % 4;
        at = head + 4;
    }
    for (size_t i = 0; (how & 2) != 0 && i < n && at + (i + 1) * each <= length; i++) {
        uint8_t *s = bytes + at + i * each, digest[32];
        msfl_statement_digest(s, h->roster, id, digest);
        msfl_sign(h->secret[msfl_load32(s) % 3]->sign, digest, 32, s + each - 64);
    }
    uint8_t cohort[32];
    if ((how & 2) != 0 && kind == 10 && at + n * each <= length) {
        msfl_reader r = msfl_reader_init(bytes + at + n * each, length - at - n * each);
        msfl_cohort_hash(id, h->roster, bytes + at, (uint32_t)n, cohort);
        sign_delivery(h, &r, id, cohort);
    }
    if ((how & 2) != 0 && kind == 11 && length >= MSFL_FRAME_BYTES + MSFL_REPORT_BYTES && delivery.length > 0) {
        uint8_t *report = bytes + MSFL_FRAME_BYTES;
        memcpy(id, delivery.bytes + 16, 32);
        memcpy(bytes + 16, id, 32);
        msfl_cohort_hash(id, h->roster, delivery.bytes + head + 4, 3, cohort);
        msfl_report_sign(id, cohort, h->secret[msfl_load32(report) % 3], report);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (message == NULL) prepare();
    if (size < 2 + MSFL_FRAME_BYTES || size > 1 << 16) return 0;
    hall *h = &halls[data[1] >> 2 & 1];
    size_t length = size - 2;
    memcpy(message, data + 2, length);
    if ((data[1] >> 4 & 1) != 0) {
        memcpy(message, delivery.bytes, delivery.length);
        length = delivery.length;
        for (size_t at = 2; at + 3 <= size; at += 3)
            message[msfl_load16(data + at) % length] ^= data[at + 2];
    }
    sign_again(h, data[1], message, length);
    msfl_effects effects = {0};
    msfl_status status = MSFL_OK;
    const size_t records = data[0] / 3;
    if (data[0] % 3 == 0) {
        msfl_coordinator *kept = h->coordinator;
        assert_int_equal(hall_new_coordinator(h), MSFL_OK);
        for (size_t j = 0; j < h->disk[0].n_journal && j < records; j++) {
            const hall_item *e = &h->disk[0].journal[j];
            assert_int_equal(msfl_coordinator_replay(h->coordinator, e->bytes, e->length), MSFL_OK);
        }
        status = msfl_coordinator_receive(h->coordinator, 30, msfl_load32(message + 12), message, length, &effects);
        msfl_coordinator_free(h->coordinator);
        h->coordinator = kept;
    } else if (data[0] % 3 == 1) {
        msfl_site *kept = h->sites[0];
        assert_int_equal(hall_new_site(h, 0), MSFL_OK);
        for (size_t j = 0; j < h->disk[1].n_journal && j < records; j++) {
            const hall_item *e = &h->disk[1].journal[j];
            assert_int_equal(msfl_site_replay(h->sites[0], e->bytes, e->length), MSFL_OK);
        }
        if ((data[1] >> 3 & 1) != 0)
            (void)!msfl_site_receive(h->sites[0], 30, delivery.bytes, delivery.length, &effects);
        status = msfl_site_receive(h->sites[0], 30, message, length, &effects);
        msfl_site_free(h->sites[0]);
        h->sites[0] = kept;
    } else {
        msfl_member *kept = h->members[0];
        assert_int_equal(hall_new_member(h, 0), MSFL_OK);
        for (size_t j = 0; j < h->disk[4].n_journal && j < records; j++) {
            const hall_item *e = &h->disk[4].journal[j];
            assert_int_equal(msfl_member_replay(h->members[0], e->bytes, e->length), MSFL_OK);
        }
        status = msfl_member_receive(h->members[0], MSFL_COORDINATOR, message, length, &effects);
        msfl_member_free(h->members[0]);
        h->members[0] = kept;
    }
    if (status != MSFL_OK && effects.n != 0) abort();
    msfl_effects_clear(&effects);
    return 0;
}
