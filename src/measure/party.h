/* Whole sums through a scheme's sessions, every party in this process, every step timed. */
#ifndef MSFL_MEASURE_PARTY_H
#define MSFL_MEASURE_PARTY_H

#include "measure/clock.h"
#include "measure/subject.h"
#include "medsecurefl/scheme.h"

typedef struct measure_party_request {
    const msfl_scheme *scheme;
    uint32_t n_clients; /**< that the parameters hold */
    uint32_t n_run;     /**< that take part: 2 to n_clients */
    uint32_t value_bits;
    double limit_s;   /**< a sum that would take longer is refused with ERR_LIMIT after its first chunk; 0: none */
    bool same_values; /**< every client has the floats of client 0, rounded in its own way: saves making them */
} measure_party_request;

/** Times of one client's part, and of the coordinator's for one client, are those of the best client. */
typedef struct measure_party_times {
    double keys_s;          /**< setup, tables, keys */
    measure_turns session;  /**< what is exchanged before */
    measure_turns quantise; /**< check and quantise */
    measure_turns encrypt;  /**< with the one-time key where there is one */
    measure_turns seal;     /**< the trailer */
    measure_turns add;
    measure_turns close, open, decode;
    uint64_t memory_bytes; /**< peak outside the clients' steps, one upload included, without the model's own floats */
    double max_error, error_bound;
} measure_party_times;

typedef struct measure_party measure_party;

/** Setup and keys. The subject is borrowed. */
msfl_status measure_party_new(const measure_party_request *request, const msfl_bench_subject *subject,
                              const msfl_observer *observer, measure_party **out) MSFL_NODISCARD;
void measure_party_free(measure_party *p);

/** One more sum; its times count if they are better. ERR_CRYPTO if the opened sum is wrong: integers are compared in
 *  every chunk while that costs less than a second or so, and in evenly spread ones of larger sums; means everywhere.
 */
msfl_status measure_party_sum(measure_party *p) MSFL_NODISCARD;

const measure_party_times *measure_party_times_borrow(const measure_party *p);
const msfl_scheme_facts *measure_party_facts(const measure_party *p);
/** One client's upload as it was last sent, of facts.upload_bytes. */
const uint8_t *measure_party_upload(const measure_party *p);

#endif
