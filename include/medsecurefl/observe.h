/* What a long job tells the one who watches it. The library itself never prints. Layer: base. */
#ifndef MEDSECUREFL_OBSERVE_H
#define MEDSECUREFL_OBSERVE_H

#include "medsecurefl/common.h"

MSFL_BEGIN_DECLS

typedef enum msfl_event_kind {
    MSFL_EVENT_PHASE,       /**< a named part of the job begins: `text` */
    MSFL_EVENT_PROGRESS,    /**< `done` of `total` steps, for `client` if >= 0; `loss` if not NaN */
    MSFL_EVENT_CLIENT_DONE, /**< `client` finished its part of `round`; `text` sums it up */
    MSFL_EVENT_ROUND_DONE,  /**< `round` is complete; `text` sums it up */
    MSFL_EVENT_WARNING,     /**< something the user should know; `text` */
    MSFL_EVENT_INFO         /**< a fact worth a line; `text` */
} msfl_event_kind;

typedef struct msfl_event {
    msfl_event_kind kind;
    const char *track; /**< which run inside the job: "encrypted", "plain", "central", "alone", "data"; never NULL */
    int32_t client;    /**< 0-based hospital, or -1 */
    uint32_t round;    /**< 1-based; 0 outside rounds */
    uint32_t n_rounds;
    uint64_t done, total; /**< steps of this part; total 0 when unknown */
    double loss;          /**< running training loss, NaN when there is none */
    const char *text;     /**< one line without newline, or NULL */
} msfl_event;

/** Called from any thread, one call at a time per job. Must return soon and must not call back into the job. */
typedef void (*msfl_observe_fn)(void *ctx, const msfl_event *event);

typedef struct msfl_observer {
    msfl_observe_fn observe; /**< NULL: nobody watches */
    void *ctx;
    const volatile int *cancel; /**< becomes non-zero when the job should stop (set by a signal handler); may be NULL */
} msfl_observer;

MSFL_END_DECLS

#endif
