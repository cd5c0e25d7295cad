#include "round/journal.h"

#include "base/error.h"
#include "base/sodium.h"

#include <inttypes.h>

#define MAGIC 0x4a52534du /* "MSRJ" */
enum { VERSION = 1 };

void msfl_journal_put(msfl_buffer *out, msfl_journal_kind kind, const uint8_t task[MSFL_HASH_BYTES]) {
    msfl_put32(out, MAGIC);
    msfl_put32(out, VERSION);
    msfl_put32(out, (uint32_t)kind);
    msfl_put_bytes(out, task, MSFL_HASH_BYTES);
}

msfl_status msfl_journal_read(const uint8_t *record, size_t length, const uint8_t task[MSFL_HASH_BYTES],
                              msfl_journal_kind *kind, msfl_reader *body) {
    msfl_reader r = msfl_reader_init(record, length);
    uint32_t magic = msfl_get32(&r), version = msfl_get32(&r), found = msfl_get32(&r);
    const uint8_t *found_task = msfl_get_bytes(&r, MSFL_HASH_BYTES);
    if (r.failed || magic != MAGIC) return msfl_fail(MSFL_ERR_FORMAT, "journal: not a record of a round");
    if (version != VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "journal: version %" PRIu32 "; this program reads %d", version, VERSION);
    }
    if (found < 1 || found > MSFL_JOURNAL_LAST) {
        return msfl_fail(MSFL_ERR_FORMAT, "journal: a record of kind %" PRIu32 " is unknown", found);
    }
    if (!msfl_equal(found_task, task, MSFL_HASH_BYTES)) {
        return msfl_fail(MSFL_ERR_MISMATCH, "journal: a record of another task");
    }
    *kind = (msfl_journal_kind)found;
    *body = r;
    return MSFL_OK;
}

msfl_status msfl_journal_bad(msfl_journal_kind kind) {
    return msfl_fail(
        MSFL_ERR_FORMAT,
        "journal: a record of kind %d does not follow from those before it; the journal was cut or mixed up",
        (int)kind);
}
