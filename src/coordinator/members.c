#include "coordinator/members.h"

#include "base/error.h"
#include "base/mem.h"
#include "pki/round.h"

msfl_status coord_members_new(const char *text, size_t length, const uint8_t consortium[MSFL_SIGN_PUBLIC_BYTES],
                              coord_members **out) {
    *out = NULL;
    coord_members *m = msfl_alloc(1, sizeof *m);
    if (m == NULL) return MSFL_NO_MEMORY;
    atomic_init(&m->holders, 1);
    m->text = msfl_strndup(text, length);
    m->length = length;
    msfl_status status =
        m->text == NULL ? MSFL_NO_MEMORY : pki_roster_parse("roster", text, length, consortium, &m->pki);
    if (status == MSFL_OK) {
        status = pki_roster_round(m->pki, &m->round);
        if (status == MSFL_ERR_MISSING) { /* a federation that is still being founded: its coordinator may run */
            m->why = msfl_strdup(msfl_error_message());
            status = m->why == NULL ? MSFL_NO_MEMORY : MSFL_OK;
        }
    }
    if (status != MSFL_OK) {
        coord_members_drop(m);
        return status;
    }
    *out = m;
    return MSFL_OK;
}

coord_members *coord_members_hold(coord_members *m) {
    (void)atomic_fetch_add(&m->holders, 1);
    return m;
}

void coord_members_drop(coord_members *m) {
    if (m == NULL || atomic_fetch_sub(&m->holders, 1) > 1) return;
    msfl_roster_free(m->round);
    msfl_free(m->pki);
    msfl_free(m->why);
    msfl_free(m->text);
    msfl_free(m);
}
