/* The conditions that the claims about a round rest on, each with a name, so that a test can take one away and show
 * that the simulation notices. In the library MSFL_GUARD is the condition and nothing else. */
#ifndef MSFL_ROUND_GUARD_H
#define MSFL_ROUND_GUARD_H

/** X(name, what would go wrong without it) */
#define MSFL_GUARD_LIST(X)                                                                                             \
    X(ANNOUNCEMENT_SIGNED, "anybody could open rounds in the coordinator's name")                                      \
    X(ROSTER_BOUND, "a round could be run with another roster")                                                        \
    X(SITE_NUMBER_RISES, "a site would take part twice under one number")                                              \
    X(SITE_MIN_COHORT, "a site would enter a round that may open too few updates")                                     \
    X(SITE_HISTORY, "a coordinator could show different histories to different sites")                                 \
    X(UPLOAD_HASH, "a changed ciphertext would enter the sum")                                                         \
    X(UPLOAD_SIGNED, "anybody could upload in a hospital's name")                                                      \
    X(UPLOAD_BUNDLES, "bundles other than the signed ones would be kept")                                              \
    X(COHORT_MIN, "a sum over too few updates would be certified")                                                     \
    X(COHORT_OWN_MIN, "a member would leave the minimum cohort to the coordinator")                                    \
    X(COHORT_DISTINCT, "one client would be counted twice")                                                            \
    X(COHORT_SIGNED, "forged uploads would be certified")                                                              \
    X(VOTE_ONCE, "two cohorts could be certified in one round")                                                        \
    X(NUMBER_RISES, "an old round could be certified or released later")                                               \
    X(RELEASE_THRESHOLD, "a member would answer for a cohort that few agreed to")                                      \
    X(RELEASE_DISTINCT, "one member's signature would count for several")                                              \
    X(RELEASE_VOTES_SIGNED, "forged signatures would release shares")                                                  \
    X(RELEASE_SAME_COHORT, "a member would answer for another cohort than it signed")                                  \
    X(RELEASE_BUNDLE_HASH, "a coordinator could have shares of its own making answered")                               \
    X(ROUND_FINAL, "the same updates would be opened twice, in different cohorts")                                     \
    X(VOTE_SIGNED, "the coordinator would count forged signatures")                                                    \
    X(ANSWER_SIGNED, "the coordinator would interpolate forged answers")                                               \
    X(SUM_OPENS, "a wrong key sum would be taken for the right one")                                                   \
    X(SEALED_ANSWER, "the coordinator would pass on forged or damaged answers to the hospitals")                       \
    X(REPORT_SIGNED, "anybody could report in a hospital's name")                                                      \
    X(REPORT_QUORUM, "a sum would be recorded on which too few hospitals agree")                                       \
    X(SITE_DELIVERY, "a hospital that keeps its sums from the coordinator would enter a round that shows it one")      \
    X(SITE_ORDER, "a hospital would make a model of a sum that belongs to another model than it has")                  \
    X(SITE_AGREED, "a hospital would go on before it knows that all have opened the same")                             \
    X(RESULT_AGREES, "hospitals would go on that have opened different sums")                                          \
    X(DELIVERY_ANSWERS_SIGNED, "a coordinator could deliver a sum of its own making")                                  \
    X(DELIVERY_RECEIPT, "an acknowledged upload could be left out unnoticed")                                          \
    X(FOLD_SIGNED, "anybody could deliver in the coordinator's name")                                                  \
    X(FOLD_HASH, "a damaged sum would be opened")

#ifdef MSFL_MUTANTS
enum msfl_guard {
    MSFL_GUARD_NONE = 0,
#define MSFL_GUARD_ENUM(name, why) MSFL_GUARD_##name,
    MSFL_GUARD_LIST(MSFL_GUARD_ENUM)
#undef MSFL_GUARD_ENUM
        MSFL_GUARD_END
};
/** The guard that does not hold; MSFL_GUARD_NONE in a sound build. */
extern int msfl_mutant;
#define MSFL_GUARD(name, holds) (msfl_mutant == MSFL_GUARD_##name || (holds))
#else
#define MSFL_GUARD(name, holds) (holds)
#endif

#endif
