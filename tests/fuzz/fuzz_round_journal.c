/* layer: round */
/* Any bytes as a journal record, after some or none that are right: refused, or replayed; never anything worse. */
#define HALL_PLAIN
#include "../unit/round/hall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hall halls[2]; /* one with a round of each delivery */
static bool ready;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!ready) {
        hall_make(&halls[0], 3, MSFL_CUSTODY_COMMITTEE, 3);
        hall_round(&halls[0], 'a');
        hall_make(&halls[1], 3, MSFL_CUSTODY_COMMITTEE, 3);
        hall_sealed_round(&halls[1], 'a');
        ready = true;
    }
    if (size < 2 || size > 1 << 16) return 0;
    const size_t disks[] = {0, 1, 4}, disk = disks[data[0] % 3], records = data[1] % 16;
    hall *h = &halls[data[0] >> 6 & 1];
    msfl_coordinator *c = h->coordinator;
    msfl_site *s = h->sites[0];
    msfl_member *m = h->members[0];
    assert_int_equal(disk == 0   ? hall_new_coordinator(h)
                     : disk == 1 ? hall_new_site(h, 0)
                                 : hall_new_member(h, 0),
                     MSFL_OK);
    for (size_t j = 0; j <= records; j++) {
        const bool last = j == records || j >= h->disk[disk].n_journal;
        const uint8_t *bytes = last ? data + 2 : h->disk[disk].journal[j].bytes;
        const size_t length = last ? size - 2 : h->disk[disk].journal[j].length;
        msfl_status status = disk == 0   ? msfl_coordinator_replay(h->coordinator, bytes, length)
                             : disk == 1 ? msfl_site_replay(h->sites[0], bytes, length)
                                         : msfl_member_replay(h->members[0], bytes, length);
        if (!last && status != MSFL_OK) abort();
        if (last) break;
    }
    if (disk == 0) msfl_coordinator_free(h->coordinator);
    if (disk == 1) msfl_site_free(h->sites[0]);
    if (disk == 4) msfl_member_free(h->members[0]);
    h->coordinator = c;
    h->sites[0] = s;
    h->members[0] = m;
    return 0;
}
