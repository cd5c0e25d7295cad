#include "net/policy.h"

bool net_bucket_take(net_bucket *b, uint64_t now_ns, double per_second, double burst, uint32_t *wait_ms) {
    if (now_ns > b->last_ns) {
        b->used -= (double)(now_ns - b->last_ns) * 1e-9 * per_second;
        if (b->used < 0 || b->last_ns == 0) b->used = 0;
        b->last_ns = now_ns;
    }
    *wait_ms = 0;
    if (b->used + 1 <= burst) {
        b->used += 1;
        return true;
    }
    double wait = (b->used + 1 - burst) / per_second * 1000;
    *wait_ms = wait > 3600000 ? 3600000 : (uint32_t)wait + 1;
    return false;
}

net_retry net_retry_default(void) {
    return (net_retry){.attempts_max = 10, .base_ms = 200, .cap_ms = 30000, .total_ms = 900000};
}

uint32_t net_retry_delay_ms(const net_retry *retry, uint32_t attempt, uint64_t random, uint32_t server_ms) {
    uint64_t limit = attempt >= 31 ? retry->cap_ms : (uint64_t)retry->base_ms << attempt;
    if (limit > retry->cap_ms) limit = retry->cap_ms;
    /* The high half of a 32 x 64 bit product: uniform to within 2^-32. */
    uint32_t delay = (uint32_t)(((random >> 32) * (limit + 1)) >> 32);
    if (server_ms > retry->cap_ms) server_ms = retry->cap_ms;
    return delay > server_ms ? delay : server_ms;
}

bool net_status_may_pass(uint32_t s) {
    return s == 408 || s == 425 || s == 429 || s == 500 || s == 502 || s == 503 || s == 504;
}

bool net_is_too_slow(uint64_t bytes, uint64_t elapsed_ms, uint32_t rate, uint32_t grace_ms) {
    if (elapsed_ms <= grace_ms) return false;
    return bytes < (elapsed_ms - grace_ms) * rate / 1000;
}
