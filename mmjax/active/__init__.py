"""Learning from people: which rows to ask about, the questions, the answers, the fine-tuning."""
