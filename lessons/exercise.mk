# Exercises: which file of a lesson's layer is to be written anew, and what tests it.
# Read by the Makefile; lessons/exercise and lessons/check do the work.
#
#   EXERCISE_N   the file; what is cut out of it stands between two marks there
#   CHECK_N      those of the layer's tests in which the file takes part, built with
#                AddressSanitizer and UBSan
#   PLAIN_N      the same without: for what these do not see (assembly; memory that is
#                not malloc's), and for tests that step through every instruction
#   FIRST_N      simple cases, none of which passes with nothing written: as long as none
#                does, the others are not run
#   POINTS_N     what cases count, if not one point: those that test the whole at random

EXERCISES := 1 2 3 4 5 6 7 8 9 10 11

EXERCISE_1 := asm/coctx_swap_$(ARCH)
PLAIN_1    := t_swap
FIRST_1    := t_swap/oneself t_swap/callee_saved t_swap/writes t_swap/from_c

EXERCISE_2 := src/coctx
CHECK_2    := t_context
FIRST_2    := t_context/to_and_fro t_context/alignment t_context/whole_struct

EXERCISE_3 := src/coroutine
CHECK_3    := t_coroutine t_misuse t_random t_exception
PLAIN_3    := t_unwind
FIRST_3    := t_coroutine/own_stack t_coroutine/goes_on
POINTS_3   := t_random/million_steps=5

EXERCISE_4 := src/loop
CHECK_4    := $(TESTS_4)
FIRST_4    := t_loop/callback t_loop/nothing_left t_loop/waking
POINTS_4   := t_loop/random=5

EXERCISE_5 := src/timer_heap
CHECK_5    := $(TESTS_5)
FIRST_5    := t_sleep/sleep_far t_sleep/sleep_order t_timer/million_heap
POINTS_5   := t_timer/heap=5 t_timer/random_fires=5

EXERCISE_6 := src/epoll
CHECK_6    := $(TESTS_6)
FIRST_6    := t_epoll/one t_epoll/crowd

EXERCISE_7 := src/co_poll
CHECK_7    := $(TESTS_7)
FIRST_7    := t_poll/wait_for_one t_poll/on_main
POINTS_7   := t_poll/like_poll_waiting=5 t_poll/like_poll_on_main=5 t_poll_fault/at_random=5

EXERCISE_8 := src/hook_rw
CHECK_8    := t_hook t_hook_same t_hook_story t_hook_fault t_hook_close
FIRST_8    := t_hook/when t_hook/others_run
POINTS_8   := t_hook_same/pipes=5 t_hook_same/ttys=5 t_hook_story/transfers=5 t_hook_fault/all=5

# Of lesson 3's layer, whose box lesson 9 opens.
EXERCISE_9 := src/stack
CHECK_9    := t_stack_used
PLAIN_9    := t_stack
FIRST_9    := t_stack/sizes t_stack/pool_lifo
POINTS_9   := t_stack/random=5 t_stack_used/random=5

EXERCISE_10 := src/sharestack
CHECK_10    := t_sharestack t_random_shared
PLAIN_10    := t_unwind_shared
FIRST_10    := t_sharestack/alone t_sharestack/by_turns
POINTS_10   := t_random_shared/million_steps=5

EXERCISE_11 := src/waitlist
CHECK_11    := t_cond t_mutex
FIRST_11    := t_cond/order t_cond/E01_timeouts
POINTS_11   := t_cond/no_lost_signal=5 t_mutex/model=5

# --- building ---------------------------------------------------------------------

# In a file that is half written, much is not used yet.
$(B)/work/%: HIDDEN := -fvisibility=hidden
$(B)/work/%: CFLAGS += -Wno-unused-function -Wno-unused-const-variable -Wno-unused-parameter

mine           = $(B)/work/$(notdir $(EXERCISE_$(1))).o
with_mine      = $(patsubst $(B)/$(EXERCISE_$(1)).o,$(call mine,$(1)),$(call stage,$(1)))
check_programs = $(addprefix $(B)/check$(1)/,$(if $(filter asan,$(VARIANT)),$(CHECK_$(1)),$(PLAIN_$(1))))

define exercise_rules
$(B)/check$(1)/%: $(B)/tests/unit/%.o $(call with_mine,$(1))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(if $$(wildcard tests/unit/$$*.cpp),$$(CXX),$$(CC)) $$(OPT) -rdynamic $$(WRAP_$$*) $$^ $$(LDLIBS) $$(LIBS_$$*) -lm -o $$@

.PHONY: exercise$(1) check$(1) hint$(1) diff$(1) solution$(1)
programs-of-exercise$(1): $(call check_programs,$(1))
	@:
exercise$(1):
	@lessons/exercise start $(1) $(NAME_$(1)) $(EXERCISE_$(1))
check$(1): | $$(WAIT)
	@CC='$$(CC)' lessons/check $(1) $$(if $$(JSON),--json)
hint$(1):
	@lessons/exercise hint $(1) $(NAME_$(1)) $(EXERCISE_$(1)) $$(or $$(K),1)
diff$(1):
	@lessons/exercise diff $(1) $(NAME_$(1)) $(EXERCISE_$(1))
solution$(1):
	@lessons/exercise solution $(1) $(NAME_$(1)) $(EXERCISE_$(1))
endef
$(foreach n,$(EXERCISES),$(eval $(call exercise_rules,$(n))))
$(foreach n,$(EXERCISES),$(addprefix $(B)/check$(n)/,$(TESTS_WITH_REGISTERS))): $(B)/tests/unit/regs_$(ARCH).o

no_exercise = @echo "make: lesson $(1) has no exercise; there are: $(EXERCISES)" >&2; exit 2
exercise%:
	$(call no_exercise,$*)
check%:
	$(call no_exercise,$*)
hint%:
	$(call no_exercise,$*)
diff%:
	$(call no_exercise,$*)
solution%:
	$(call no_exercise,$*)

# What only `make help` reads.
# exerciseN: ## put lesson N's file into work/, its heart cut out: you write it
# checkN: ## test your file in place of ours, with points; JSON=1, SEED=..., LIMIT=seconds for a case
# hintN: ## a hint for exercise N: K=1 a question, K=2 an idea, K=3 almost the answer
# diffN: ## your file against ours
# solutionN: ## what was cut out of ours
