/* Rules with numbers in them: how often, how long to wait. Without clock and chance of their own. */
#ifndef MSFL_NET_POLICY_H
#define MSFL_NET_POLICY_H

#include "medsecurefl/status.h"

/** So many at once, and so many a second in the long run. Starts full when zeroed. */
typedef struct net_bucket {
    uint64_t last_ns;
    double used;
} net_bucket;
/** Whether one more is allowed at `now_ns` (monotonic); if not, `*wait_ms` says when. `per_second` > 0, `burst` >= 1.
 */
bool net_bucket_take(net_bucket *bucket, uint64_t now_ns, double per_second, double burst, uint32_t *wait_ms);

/** When a failed attempt is repeated. */
typedef struct net_retry {
    uint32_t attempts_max; /**< 1: never again */
    uint32_t base_ms, cap_ms;
    uint32_t total_ms; /**< no attempt begins later than this after the first */
} net_retry;
/** 10 attempts, 200 ms doubling to 30 s, at most 15 minutes. */
net_retry net_retry_default(void);
/** Full jitter: uniform in [0, min(cap, base 2^attempt)], attempt counted from 0, `random` uniform in 64 bits; at least
 *  `server_ms`, what the server asked for, of which at most cap_ms counts. */
uint32_t net_retry_delay_ms(const net_retry *retry, uint32_t attempt, uint64_t random, uint32_t server_ms);

/** Whether an answer with this status may be better next time: 408, 425, 429, 500, 502, 503, 504. */
bool net_status_may_pass(uint32_t http_status);

/** Too slow to wait for: fewer than `rate` bytes a second over all the time so far, after a grace of `grace_ms`. */
bool net_is_too_slow(uint64_t bytes, uint64_t elapsed_ms, uint32_t rate, uint32_t grace_ms);

#endif
