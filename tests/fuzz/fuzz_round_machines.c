/* layer: round */
/* Any message to a machine in any phase: refused without effects, or taken; never anything worse. First byte: which
 * machine; second: what is signed again, so that the fuzzer gets past the signatures. */
#define HALL_PLAIN
#include "../unit/round/hall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hall h;
static uint8_t *message;

static void prepare(void) {
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    assert_int_equal(hall_open(&h, 'a'), MSFL_OK);
    assert_int_equal(hall_tick(&h, 20), MSFL_OK);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(hall_upload(&h, i), MSFL_OK);
    assert_int_equal(hall_tick(&h, 200), MSFL_OK);
    message = malloc(1 << 20);
    assert_non_null(message);
}

/** Sign announcement and statements again where the message has them. */
static void sign_again(uint8_t how, uint8_t *bytes, size_t length) {
    const size_t each = msfl_statement_bytes(3), head = MSFL_FRAME_BYTES + MSFL_ANNOUNCE_BODY;
    const uint32_t kind = msfl_load32(bytes + 8);
    uint8_t id[32];
    memcpy(id, bytes + 16, 32);
    if ((how & 1) != 0 && length >= head && (kind == 1 || kind == 5 || kind == 7)) {
        msfl_announcement a;
        if (msfl_announcement_read(bytes + MSFL_FRAME_BYTES, &a) != MSFL_OK) return;
        msfl_announcement_sign(&a, h.coordinator_secret, bytes + MSFL_FRAME_BYTES);
        msfl_announcement_id(&a, id);
        memcpy(bytes + 16, id, 32);
    }
    size_t n = kind == 4 ? 1 : 0, at = MSFL_FRAME_BYTES;
    if (length >= head + 4 && (kind == 5 || kind == 7)) {
        n = msfl_load32(bytes + head) % 4;
        at = head + 4;
    }
    for (size_t i = 0; (how & 2) != 0 && i < n && at + (i + 1) * each <= length; i++) {
        uint8_t *s = bytes + at + i * each, digest[32];
        msfl_statement_digest(s, h.roster, id, digest);
        msfl_sign(h.secret[msfl_load32(s) % 3]->sign, digest, 32, s + each - 64);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (message == NULL) prepare();
    if (size < 2 + MSFL_FRAME_BYTES || size > 1 << 16) return 0;
    memcpy(message, data + 2, size - 2);
    sign_again(data[1], message, size - 2);
    msfl_effects effects = {0};
    msfl_status status = MSFL_OK;
    const size_t records = data[0] / 3;
    if (data[0] % 3 == 0) {
        msfl_coordinator *kept = h.coordinator;
        assert_int_equal(hall_new_coordinator(&h), MSFL_OK);
        for (size_t j = 0; j < h.disk[0].n_journal && j < records; j++) {
            const hall_item *e = &h.disk[0].journal[j];
            assert_int_equal(msfl_coordinator_replay(h.coordinator, e->bytes, e->length), MSFL_OK);
        }
        status = msfl_coordinator_receive(h.coordinator, 30, msfl_load32(message + 12), message, size - 2, &effects);
        msfl_coordinator_free(h.coordinator);
        h.coordinator = kept;
    } else if (data[0] % 3 == 1) {
        msfl_site *kept = h.sites[0];
        assert_int_equal(hall_new_site(&h, 0), MSFL_OK);
        for (size_t j = 0; j < h.disk[1].n_journal && j < records; j++) {
            const hall_item *e = &h.disk[1].journal[j];
            assert_int_equal(msfl_site_replay(h.sites[0], e->bytes, e->length), MSFL_OK);
        }
        status = msfl_site_receive(h.sites[0], 30, message, size - 2, &effects);
        msfl_site_free(h.sites[0]);
        h.sites[0] = kept;
    } else {
        msfl_member *kept = h.members[0];
        assert_int_equal(hall_new_member(&h, 0), MSFL_OK);
        for (size_t j = 0; j < h.disk[4].n_journal && j < records; j++) {
            const hall_item *e = &h.disk[4].journal[j];
            assert_int_equal(msfl_member_replay(h.members[0], e->bytes, e->length), MSFL_OK);
        }
        status = msfl_member_receive(h.members[0], MSFL_COORDINATOR, message, size - 2, &effects);
        msfl_member_free(h.members[0]);
        h.members[0] = kept;
    }
    if (status != MSFL_OK && effects.n != 0) abort();
    msfl_effects_clear(&effects);
    return 0;
}
