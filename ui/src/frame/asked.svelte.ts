// Which question of the frame is open: one at a time, from whatever page and by whatever way.

type Question = 'freeze' | 'palette' | 'help';

class Asked {
  open = $state<Question>();

  ask(question: Question): void {
    this.open = question;
  }

  close = (): void => {
    this.open = undefined;
  };
}

export const asked = new Asked();
