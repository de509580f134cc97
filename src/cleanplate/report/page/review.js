// placeholder, replaced by the review
export class Review {}
